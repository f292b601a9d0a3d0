//! Measures how fast the content codings are made, and prints how small.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forebay::field::coding::Coding;
use forebay::transform::decode::Decoder;
use forebay::transform::encode::{Effort, Encoder, encode_whole};

/// About as long as the script of a page, in bytes.
const LENGTH: usize = 256 * 1024;
/// A body arrives in pieces of so many bytes.
const PIECE: usize = 16 * 1024;
const WORDS: &[&str] = &[
    "props",
    "state",
    "length",
    "children",
    "render",
    "value",
    "onClick",
    "className",
    "style",
    "push",
    "map",
    "filter",
    "forEach",
    "prototype",
    "constructor",
    "createElement",
    "default",
    "exports",
    "module",
    "undefined",
    "Object",
    "Array",
    "Promise",
    "then",
    "catch",
    "document",
    "window",
    "addEventListener",
    "removeEventListener",
    "setTimeout",
    "indexOf",
    "slice",
    "concat",
    "hasOwnProperty",
    "defineProperty",
    "configurable",
    "enumerable",
    "writable",
    "context",
    "dispatch",
    "subscribe",
    "options",
    "callback",
    "error",
    "message",
    "response",
    "request",
    "headers",
    "method",
    "toString",
    "charCodeAt",
    "fromCharCode",
    "substring",
    "replace",
    "test",
];
const PHRASES: &[&str] = &[
    "function #(#,#){return #.$(#)}",
    "var #=#.$,#=#.$;",
    "if(!#.$)throw new Error(\"$ $ $\");",
    "#.$=function(#){#.$(#.$,#)};",
    "for(var #=0;#<#.length;#++)#.$(#[#]);",
    "return #&&#.$?#.$:void 0}",
    "Object.defineProperty(#,\"$\",{enumerable:!0,get:()=>#});",
    "const{$:#,$:#}=#;",
    "#.$((#=>#.$===#)).$((#=>({...#,$:%})));",
    "case %:#=#.$(\"$-$\");break;",
    "#(\"$\",{$:\"$\",$:#,$:%})",
    "(0,#.$)(#,{$:#.$,$:()=>#(%)}),",
    "\"$\"==typeof #?#(#):#=%,",
];

/// Draws numbers, the same in each run.
struct Dice(u64);

impl Dice {
    /// A number below `bound`, small ones more often than large ones, as words are in a text.
    fn throw(&mut self, bound: usize) -> usize {
        let mut draw = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(self.0 >> 33).expect("31 bits fit") % bound
        };
        draw().min(draw())
    }
}

/// Something like a minified script.
fn script() -> Vec<u8> {
    let mut dice = Dice(1);
    let mut script = String::new();
    while script.len() < LENGTH {
        for letter in PHRASES[dice.throw(PHRASES.len())].chars() {
            match letter {
                '$' => script.push_str(WORDS[dice.throw(WORDS.len())]),
                '%' => script.push_str(&dice.throw(4096).to_string()),
                '#' => script.push(char::from(b"etnrioasclduhfmpg_"[dice.throw(18)])),
                other => script.push(other),
            }
        }
    }
    script.truncate(LENGTH);
    script.into_bytes()
}

fn stream(coding: Coding, effort: Effort, body: &[u8]) -> usize {
    let mut encoder = Encoder::new(coding, effort);
    let pieces = body.chunks(PIECE).map(|piece| encoder.write(piece).expect("memory").len());
    let length = pieces.sum::<usize>();
    length + encoder.finish().expect("memory").len()
}

fn decode(coding: Coding, body: &[u8]) -> usize {
    let mut decoder = Decoder::new(coding, u64::MAX);
    body.chunks(PIECE).map(|piece| decoder.write(piece).expect("it is in its coding").len()).sum()
}

#[expect(clippy::print_stdout, reason = "how small is half of the answer")]
fn codings(criterion: &mut Criterion) {
    let body = Bytes::from(script());
    let mut group = criterion.benchmark_group("codings");
    group.throughput(Throughput::Bytes(body.len() as u64));
    for coding in Coding::ALL {
        for effort in Effort::ALL {
            let pieces = [body.clone()];
            let whole = encode_whole(coding, effort, &pieces).expect("memory");
            let (token, streamed) = (coding.token(), stream(coding, effort, &body));
            println!("{token} {effort:?}: {} as a whole, {streamed} as a stream", whole.len());
            group.bench_function(format!("{token}/{effort:?}/whole"), |bencher| {
                bencher.iter(|| encode_whole(coding, effort, black_box(&pieces)));
            });
            group.bench_function(format!("{token}/{effort:?}/stream"), |bencher| {
                bencher.iter(|| stream(coding, effort, black_box(&body)));
            });
        }
        let pieces = [body.clone()];
        let encoded = encode_whole(coding, Effort::Quick, &pieces).expect("memory");
        group.bench_function(format!("{}/decode", coding.token()), |bencher| {
            bencher.iter(|| decode(coding, black_box(&encoded)));
        });
    }
    group.finish();
}

criterion_group!(benches, codings);
criterion_main!(benches);
