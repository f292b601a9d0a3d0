// Runs the public HTTP cache conformance suite against an edge and compares
// what does not pass with what is expected not to.

import { fork, spawn } from 'node:child_process'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import readline from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const usage = `usage: node run.mjs --suite DIR (--forebay BINARY | --edge URL) [options]

  --suite DIR        the suite: an installed npm package http-cache-tests, or a
                     checkout of the repository http-tests/cache-tests
  --forebay BINARY   start this binary with forebay.toml before the suite's origin
  --edge URL         use a proxy that runs already; its one origin must be
                     http://127.0.0.1:PORT with the PORT of --origin-port
  --origin-port PORT where the suite's origin listens (default: any free port
                     with --forebay, 8000 with --edge)
  --expected FILE    the ids that are expected not to pass, one to a line, each
                     followed by "# reason"
  --only REGEX       run only the tests whose "group/id" matches
  --dump             print every request and response (use it with --only)
  --json FILE        write the results there, in the suite's own format
  --at-once N        tests in flight (default 25)
  --limit SECONDS    give up after so long (default 600)

Exit code: 0 as expected; 1 a test did not pass unexpectedly, or passed although
it is expected not to; 2 the suite could not be run.`

const here = path.dirname(fileURLToPath(import.meta.url))
const requestTimeout = 10_000

class CannotRun extends Error {}

const cleanups = []
function cleanUp () {
  while (cleanups.length > 0) cleanups.pop()()
}

function optionsFrom (args) {
  const text = { type: 'string' }
  let values
  try {
    ({ values } = parseArgs({
      args,
      options: {
        suite: text,
        forebay: text,
        edge: text,
        'origin-port': text,
        expected: text,
        only: text,
        dump: { type: 'boolean', default: false },
        json: text,
        'at-once': { ...text, default: '25' },
        limit: { ...text, default: '600' },
        help: { type: 'boolean', short: 'h', default: false }
      }
    }))
  } catch (error) {
    throw new CannotRun(`${error.message}\n\n${usage}`)
  }
  if (values.help) {
    console.log(usage)
    process.exit(0)
  }
  if (!values.suite || !values.forebay === !values.edge) throw new CannotRun(usage)
  return values
}

// The npm release and the repository lay the same parts out differently.
async function loadSuite (directory) {
  const root = path.resolve(directory)
  const load = file => import(pathToFileURL(path.join(root, file)))
  const engine = fs.existsSync(path.join(root, 'test-engine')) ? 'test-engine/' : ''
  const server = path.join(root, `${engine}server/server.mjs`)
  if (!fs.existsSync(server)) throw new CannotRun(`there is no suite in ${root}`)
  const groups = (await load('tests/index.mjs')).default
  const runner = await load(`${engine}client/runner.mjs`)
  const run = engine === ''
    ? (chosen, url, atOnce) => runner.runTests(chosen, fetchOf(root), false, url, atOnce)
    : (chosen, url, atOnce) => runner.runTests(chosen, false, url, atOnce)
  return { server, groups, run, results: runner.getResults }
}

// The npm release brings its own fetch, which waits for ever unless told.
function fetchOf (root) {
  const fetch = createRequire(path.join(root, 'package.json'))('node-fetch')
  return (url, init) => fetch(url, { ...init, timeout: requestTimeout })
}

function startOrigin (server, port) {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'forebay-conformance-'))
  cleanups.push(() => fs.rmSync(scratch, { recursive: true, force: true }))
  const env = {
    ...process.env,
    npm_config_protocol: 'http',
    npm_config_port: '8000',
    npm_config_pidfile: path.join(scratch, 'origin.pid')
  }
  // Its log names every request; the results say what matters.
  const stdio = ['ignore', 'ignore', 'inherit', 'ipc']
  const child = fork(path.join(here, 'origin.mjs'), [server, String(port)], {
    cwd: path.resolve(path.dirname(server), '..'),
    env,
    execArgv: ['--no-warnings'],
    stdio
  })
  cleanups.push(() => child.kill())
  return new Promise((resolve, reject) => {
    child.once('message', message => resolve(message.port))
    child.once('exit', code => reject(new CannotRun(`the suite's origin ended with code ${code}`)))
  })
}

// forebay.toml is written with the addresses one would use by hand; here every
// port is free to choose.
async function startForebay (binary, originPort) {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'forebay-conformance-'))
  cleanups.push(() => fs.rmSync(scratch, { recursive: true, force: true }))
  const config = fs.readFileSync(path.join(here, 'forebay.toml'), 'utf8')
    .replaceAll('127.0.0.1:8000', `127.0.0.1:${originPort}`)
    .replaceAll(/127\.0\.0\.1:(8080|9900)/g, '127.0.0.1:0')
  const file = path.join(scratch, 'forebay.toml')
  fs.writeFileSync(file, config)
  const child = spawn(binary, ['serve', '--config', file], { stdio: ['ignore', 'pipe', 'pipe'] })
  cleanups.push(() => child.kill('SIGKILL'))
  let log = ''
  child.stderr.on('data', data => { log = (log + data).slice(-20_000) })
  const died = new Promise((resolve, reject) => {
    child.once('error', error => reject(new CannotRun(`${binary}: ${error.message}`)))
    child.once('exit', code => reject(new CannotRun(`${binary} ended with code ${code}:\n${log}`)))
  })
  const listening = (async () => {
    let url
    for await (const line of readline.createInterface({ input: child.stdout })) {
      const [word, name, address] = line.split(' ')
      if (word === 'listening' && name === 'web') url = address
      if (line === 'ready') return url
    }
    return died
  })()
  return { url: await Promise.race([listening, died]), died }
}

function chosenFrom (groups, { only, dump }) {
  const pattern = new RegExp(only ?? '')
  const chosen = groups
    .map(group => ({ ...group, tests: group.tests.filter(test => pattern.test(`${group.id}/${test.id}`)) }))
    .filter(group => group.tests.length > 0)
  if (chosen.length === 0) throw new CannotRun(`no test matches ${only}`)
  if (dump) for (const group of chosen) for (const test of group.tests) test.dump = true
  return chosen
}

function expectedFrom (file) {
  const expected = new Map()
  if (!file) return expected
  for (const [index, line] of fs.readFileSync(file, 'utf8').split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [id, reason] = line.split(/\s+#\s*/)
    if (!reason) throw new CannotRun(`${file}:${index + 1}: ${id} has no reason`)
    expected.set(id.trim(), reason)
  }
  return expected
}

// A test whose groundwork does not hold proves nothing, whatever it says itself.
function verdicts (groups, results, wholeRun) {
  const tests = new Map(groups.flatMap(group => group.tests.map(test => [test.id, test])))
  const verdict = id => {
    const result = results[id]
    if (result === undefined) return 'did not run'
    const failed = wholeRun && (tests.get(id).depends_on ?? []).find(other => verdict(other) !== 'passes')
    if (failed) return `depends on ${failed}`
    return result === true ? 'passes' : result.join(': ')
  }
  return groups.flatMap(group => group.tests
    .filter(test => !test.browser_only)
    .map(test => ({ group: group.id, id: test.id, kind: test.kind ?? 'required', says: verdict(test.id) })))
}

function report (list, expected, wholeRun) {
  const counted = list.filter(test => test.kind !== 'check')
  const missed = counted.filter(test => test.says !== 'passes')
  const unexpected = missed.filter(test => !expected.has(test.id))
  const passed = new Set(list.filter(test => test.says === 'passes').map(test => test.id))
  const tooGood = [...expected.keys()].filter(id => passed.has(id))
  const known = new Set(list.map(test => test.id))
  const unknown = wholeRun ? [...expected.keys()].filter(id => !known.has(id)) : []

  for (const test of missed) {
    const mark = expected.has(test.id) ? `expected, ${expected.get(test.id)}` : 'UNEXPECTED'
    console.log(`${test.kind} ${test.group}/${test.id}: ${test.says} (${mark})`)
  }
  for (const id of tooGood) console.log(`${id} passes although it is expected not to`)
  for (const id of unknown) console.log(`${id} is expected not to pass but is no test of this suite`)
  const score = ['required', 'optimal', 'check'].map(kind => {
    const ofKind = list.filter(test => test.kind === kind)
    return `${kind} ${ofKind.filter(test => test.says === 'passes').length}/${ofKind.length}`
  })
  console.log(`${list.length} tests: ${score.join(', ')}; ${unexpected.length} unexpected`)
  return unexpected.length + tooGood.length + unknown.length === 0
}

async function main () {
  const options = optionsFrom(process.argv.slice(2))
  const suite = await loadSuite(options.suite)
  const chosen = chosenFrom(suite.groups, options)
  const expected = expectedFrom(options.expected)
  const originPort = await startOrigin(suite.server, options['origin-port'] ?? (options.edge ? 8000 : 0))
  const edge = options.edge
    ? { url: options.edge.replace(/\/$/, ''), died: new Promise(() => {}) }
    : await startForebay(options.forebay, originPort)

  const total = chosen.flatMap(group => group.tests).filter(test => !test.browser_only).length
  const progress = setInterval(() => {
    console.error(`${Object.keys(suite.results()).length} of ${total} tests done`)
  }, 10_000)
  cleanups.push(() => clearInterval(progress))
  const late = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new CannotRun(`not done after ${options.limit} s`)), options.limit * 1000)
    cleanups.push(() => clearTimeout(timer))
  })
  await Promise.race([suite.run(chosen, edge.url, Number(options['at-once'])), edge.died, late])

  const results = suite.results()
  if (options.json) fs.writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`)
  const wholeRun = options.only === undefined
  return report(verdicts(chosen, results, wholeRun), expected, wholeRun) ? 0 : 1
}

process.on('exit', cleanUp)
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(2))
main().then(code => process.exit(code), error => {
  console.error(error instanceof CannotRun ? error.message : error)
  process.exit(2)
})
