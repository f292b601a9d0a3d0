//! Measures the tiers: look-ups in memory, on disk and in Redis; a purge of a tag that a million
//! stored responses have, and what hits feel of it; and how soon a full disk answers after a start.
//!
//! `TIERS_GIB=1,10` fills the disk with 1 GiB, and then with 10. Redis is the one on port 6379 of this machine,
//! if there is one.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it measures is printed")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use forebay::key::{Key, Target};
use forebay::store::disk::{Disk, Limits};
use forebay::store::lower::Lower;
use forebay::store::memory::Memory;
use forebay::store::purges::{At, Group, Purge};
use forebay::store::redis::Redis;
use forebay::stored::{Body, Fields, Freshness, Selecting, Stored, StoredHead, TagHash};
use forebay::time::{self, Seconds};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// How many stored responses have the tag that is purged.
const MANY: usize = 1_000_000;
/// How many look-ups are timed.
const LOOK_UPS: usize = 20_000;
/// The body of each record on disk in the test of a start.
const RECORD: usize = 16 * 1024;

fn key(number: usize) -> Key {
    let path = format!("/items/{number}");
    Key::of(&Target::parse("https", "shop.example", &path).expect("it is a target"))
}

fn stored(length: usize, tags: &[&str]) -> Stored {
    let mut fields = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, "image/jpeg"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::ETAG, "\"0123456789abcdef\""),
        (header::DATE, "Mon, 23 Nov 2026 12:00:00 GMT"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    let freshness = Freshness {
        arrived: time::now(),
        initial_age: Seconds::ZERO,
        lifetime: Seconds(3600),
        always_validate: false,
        never_stale: false,
        while_revalidate: Seconds::ZERO,
        if_error: None,
        withdrawn: false,
    };
    let head = StoredHead {
        status: StatusCode::OK,
        fields: Fields::new(&fields),
        freshness,
        selecting: Selecting::default(),
        part: None,
        compressible: false,
        coding: None,
        tags: tags.iter().map(|tag| TagHash::of(tag)).collect(),
        since: 0,
    };
    let body = (0..length).map(|at| (at % 251).to_le_bytes()[0]).collect::<Vec<u8>>();
    Stored { head: Arc::new(head), body: Body::new(vec![Bytes::from(body)]) }
}

/// Prints how long most and nearly all of these took.
fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("{what:<52} p50 {:>9.1?}  p99 {:>9.1?}  max {:>9.1?}", at(50), at(99), at(100));
}

/// A sequence that visits all numbers below `most` in no order.
fn scattered(most: usize) -> impl Iterator<Item = usize> {
    (0..).map(move |at: usize| at.wrapping_mul(2_654_435_761) % most)
}

fn memory() {
    let memory = Memory::new(8 << 30);
    let response = stored(1024, &["all"]);
    let keys: Vec<Key> = (0..MANY).map(key).collect();
    for key in &keys {
        memory.store(key, &response, 32, memory.epoch()).expect("nothing is invalidated");
    }
    let look_up = |number: usize| {
        let began = Instant::now();
        let found = memory.look_up(&keys[number]);
        let took = began.elapsed();
        drop(found);
        took
    };
    print("memory: look-up among 1,000,000", scattered(MANY).take(LOOK_UPS).map(look_up).collect());
    let purged = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let hits = scope.spawn(|| {
            let (mut before, mut after) = (Vec::new(), Vec::new());
            for number in scattered(MANY) {
                let is_after = purged.load(Ordering::Relaxed);
                let times = if is_after { &mut after } else { &mut before };
                times.push(look_up(number));
                if after.len() == 200_000 {
                    return (before, after);
                }
            }
            (before, after)
        });
        std::thread::sleep(Duration::from_millis(200));
        let began = Instant::now();
        memory.purge_groups(&[Group::Tag(TagHash::of("all"))], Purge::Soft, At::Here);
        let took = began.elapsed();
        purged.store(true, Ordering::Relaxed);
        let (before, after) = hits.join().expect("it does not panic");
        println!("purge of a tag that 1,000,000 stored responses have:   {took:.1?}");
        print("memory: look-ups before the purge", before);
        print("memory: look-ups after it, each the first of its key", after);
    });
}

async fn loads(tier: &dyn Lower, keys: &[Key]) -> Vec<Duration> {
    let mut times = Vec::with_capacity(LOOK_UPS);
    for number in scattered(keys.len()).take(LOOK_UPS) {
        let began = Instant::now();
        let found = tier.load(&keys[number], &HeaderMap::new(), &[]).await;
        times.push(began.elapsed());
        assert!(found.is_some(), "{:?} is not there", keys[number]);
    }
    times
}

async fn lower(tier: &dyn Lower, name: &str) {
    for length in [1024, 16 * 1024, 256 * 1024] {
        let keys: Vec<Key> = (0..1_000).map(key).collect();
        let response = stored(length, &[]);
        for chunk in keys.chunks(50) {
            chunk.iter().for_each(|key| tier.save(key, &response));
            tier.settle().await;
        }
        print(&format!("{name}: look-up, {} KiB", length / 1024), loads(tier, &keys).await);
    }
}

async fn start(folder: &Path, gibibytes: usize) {
    let limits = Limits { bytes: (gibibytes as u64 + 8) << 31, entries: 100_000_000 };
    let count = (gibibytes << 30) / RECORD;
    let response = stored(RECORD, &[]);
    let disk = Disk::open(folder, limits).expect("the folder can be used");
    let began = Instant::now();
    for number in 0..count {
        disk.save(&key(number), &response);
        if number % 1_000 == 0 {
            disk.settled().await;
            eprint!("\r{gibibytes} GiB: {:3} %", number * 100 / count);
        }
    }
    disk.settled().await;
    eprintln!("\r{gibibytes} GiB: written in {:.1?}", began.elapsed());
    // As after a crash: nothing is told to it.
    std::mem::forget(disk);
    let again = tempfile::tempdir_in(folder.parent().expect("it has one")).expect("a folder");
    let moved = again.path().join("stored");
    std::fs::rename(folder, &moved).expect("it can be moved");
    // A process that was killed holds no lock.
    std::fs::remove_file(moved.join("lock")).expect("it is there");
    let began = Instant::now();
    let disk = Disk::open(&moved, limits).expect("the folder can be used");
    let found = disk.load(&key(count / 2), &HeaderMap::new(), &[]).await.is_some();
    let first = began.elapsed();
    disk.counted().await;
    let counted = began.elapsed();
    let mut lost = 0;
    for number in scattered(count).take(LOOK_UPS) {
        lost += usize::from(disk.load(&key(number), &HeaderMap::new(), &[]).await.is_none());
    }
    println!(
        "disk: start with {count} records, {gibibytes} GiB: first answer after {first:.1?} \
         ({found}), all counted after {counted:.1?}, {lost} of {LOOK_UPS} lost"
    );
}

fn redis() -> Option<Redis> {
    std::net::TcpStream::connect("127.0.0.1:6379").is_ok().then_some(())?;
    let text = "version = 1\nlisteners.web.address = '127.0.0.1:0'\n\
                origins.api.servers = ['http://127.0.0.1']\n\
                routes = [{ name = 'all', match = {}, origin = 'api', policy = 'api' }]\n\
                cache.redis = { url = 'redis://127.0.0.1', prefix = 'forebay-bench' }";
    let settings =
        forebay_config::parse("", text, Path::new(""), &|_| None).expect("they are right");
    settings.cache.redis.map(|settings| Redis::new(settings).expect("it can be had"))
}

fn main() {
    memory();
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    runtime.block_on(async {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let limits = Limits { bytes: 4 << 30, entries: 1_000_000 };
        let disk = Disk::open(folder.path().join("stored"), limits).expect("it can be used");
        lower(&disk, "disk").await;
        match redis() {
            Some(redis) => {
                let runs = redis.clone();
                tokio::spawn(async move { runs.run().await });
                while !redis.is_up() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                lower(&redis, "redis").await;
            }
            None => println!("redis: none on port 6379"),
        }
        let sizes = std::env::var("TIERS_GIB").unwrap_or_else(|_unset| "1".to_owned());
        for gibibytes in sizes.split(',') {
            let gibibytes = gibibytes.parse().expect("TIERS_GIB has numbers");
            start(&folder.path().join("full"), gibibytes).await;
        }
    });
}
