// Starts the suite's own origin server on a free port of the loopback interface
// and tells the parent process which port that is.
//
//   fork('origin.mjs', [path of the suite's server.mjs, port or 0])

import net from 'node:net'
import process from 'node:process'
import { pathToFileURL } from 'node:url'

const [serverModule, port] = process.argv.slice(2)

// The server listens on every interface, as nobody should in a test.
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function onLoopback () {
  this.once('listening', () => process.send({ port: this.address().port }))
  return listen.call(this, { host: '127.0.0.1', port: Number(port) })
}

process.on('disconnect', () => process.exit())
await import(pathToFileURL(serverModule))
