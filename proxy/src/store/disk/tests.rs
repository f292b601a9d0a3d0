//! What the disk tier keeps, and what becomes of it when things go wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use http::HeaderMap;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::key::Target;
use crate::store::tally::{Fault, Gone};
use crate::stored::testing::{body, request, stored};
use crate::stored::{Body, StoredHead};

const ROOMY: Limits = Limits { bytes: 1 << 30, entries: 1000 };

fn key(path: &str) -> Key {
    Key::of(&Target::parse("http", "a.example", path).unwrap())
}

async fn open(folder: &TempDir, limits: Limits) -> Disk {
    let disk = Disk::open(folder.path(), limits).unwrap();
    disk.here().await;
    disk
}

/// What is stored under `path`, with that text.
async fn save(disk: &Disk, path: &str, text: &str) {
    disk.save(&key(path), &stored(text, &[], &HeaderMap::new()));
    disk.settled().await;
}

async fn found(disk: &Disk, path: &str) -> Option<String> {
    disk.load(&key(path), &HeaderMap::new(), &[]).await.map(|stored| body(&stored))
}

/// All files of records.
fn files(folder: &Path) -> Vec<PathBuf> {
    let shelves = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let shelves = shelves.filter(|entry| entry.file_name().len() == 2);
    let entries = shelves.flat_map(|shelf| fs::read_dir(shelf.path()).unwrap());
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// A body that stays on disk.
fn large() -> Stored {
    let bytes: Vec<u8> = (0..251).cycle().take(3_000_000).collect();
    Stored { body: Body::new(vec![bytes.into()]), ..stored("", &[], &HeaderMap::new()) }
}

fn whole(body: &Body) -> Vec<u8> {
    let Some(region) = body.region() else { return body.as_slice().concat() };
    let (mut all, mut at) = (Vec::new(), 0);
    while at < region.length() {
        let piece = region.read(at, region.length()).unwrap();
        at += piece.len() as u64;
        all.extend_from_slice(&piece);
    }
    all
}

#[tokio::test]
async fn finds_what_was_saved_also_in_another_process() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    assert_eq!(found(&disk, "/a").await, None);
    save(&disk, "/a", "one").await;
    save(&disk, "/a", "two").await;
    assert_eq!(found(&disk, "/a").await.as_deref(), Some("two"));
    assert_eq!(found(&disk, "/b").await, None);
    drop(disk);
    let disk = open(&folder, ROOMY).await;
    assert_eq!(found(&disk, "/a").await.as_deref(), Some("two"));
    disk.counted().await;
    assert_eq!((disk.facts().entries, disk.facts().bytes), (1, 4096));
    let tally = disk.tally();
    assert_eq!((tally.hits.get(), tally.misses.get()), (1, 0));
}

#[tokio::test]
async fn finds_what_waits_to_be_saved() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    for round in 0..50 {
        let text = round.to_string();
        disk.save(&key("/a"), &stored(&text, &[], &HeaderMap::new()));
        assert_eq!(found(&disk, "/a").await, Some(text));
    }
}

#[tokio::test]
async fn keeps_the_variants_of_a_key_apart() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    let tongues = ["en", "de", "fr"];
    let found = async |disk: &Disk, tongue: &str| {
        let found = disk.load(&key("/a"), &request("x-tongue", tongue), &[]).await;
        found.map(|stored| body(&stored))
    };
    for tongue in tongues {
        disk.save(&key("/a"), &stored(tongue, &["x-tongue"], &request("x-tongue", tongue)));
    }
    disk.settled().await;
    assert_eq!(files(folder.path()).len(), 3);
    for tongue in tongues {
        assert_eq!(found(&disk, tongue).await.as_deref(), Some(tongue));
    }
    assert_eq!(found(&disk, "it").await, None);
    disk.save(&key("/a"), &stored("de again", &["x-tongue"], &request("x-tongue", "de")));
    disk.settled().await;
    assert_eq!(found(&disk, "de").await.as_deref(), Some("de again"));
    // One by other fields takes the place of the primary.
    save(&disk, "/a", "all").await;
    assert_eq!(found(&disk, "de").await.as_deref(), Some("all"));
    let names = [HeaderName::from_static("x-tongue")];
    assert!(disk.load(&key("/a"), &request("x-tongue", "de"), &names).await.is_none());
    disk.remove(&key("/a")).await;
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn keeps_nothing_of_what_is_removed() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    let response = stored("x", &[], &HeaderMap::new());
    let other = large();
    for _ in 0..30 {
        disk.save(&key("/b"), &other);
        disk.save(&key("/a"), &response);
        let (a, b) = (disk.remove(&key("/a")), disk.remove(&key("/b")));
        b.await;
        a.await;
        assert_eq!(found(&disk, "/a").await, None);
        assert!(disk.load(&key("/b"), &HeaderMap::new(), &[]).await.is_none());
        disk.settled().await;
        assert_eq!(files(folder.path()).len(), 0);
    }
    // It is removed, though nobody waits for it.
    save(&disk, "/a", "x").await;
    drop(disk.remove(&key("/a")));
    disk.settled().await;
    assert_eq!(found(&disk, "/a").await, None);
    assert_eq!(disk.facts().entries, 0);
}

#[tokio::test]
async fn removes_what_it_does_not_know_of_yet() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    for tongue in ["en", "de"] {
        disk.save(&key("/a"), &stored("x", &["x-tongue"], &request("x-tongue", tongue)));
    }
    disk.settled().await;
    drop(disk);
    let disk = open(&folder, ROOMY).await;
    disk.remove(&key("/a")).await;
    assert_eq!(files(folder.path()).len(), 0);
    disk.counted().await;
    assert_eq!(disk.facts().entries, 0);
}

#[tokio::test]
async fn removes_everything() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    for number in 0..300 {
        disk.save(&key(&format!("/{number}")), &stored("x", &[], &HeaderMap::new()));
    }
    disk.settled().await;
    disk.clear().await;
    assert_eq!((found(&disk, "/7").await, disk.facts().entries), (None, 0));
    assert_eq!(files(folder.path()).len(), 0);
    save(&disk, "/7", "new").await;
    assert_eq!(found(&disk, "/7").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn holds_its_bounds_in_the_folder() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, Limits { bytes: 10 * 4096, entries: 6 }).await;
    for number in 0..20 {
        save(&disk, &format!("/{number}"), &"x".repeat(number * 300)).await;
        let facts = disk.facts();
        assert!(facts.bytes <= 10 * 4096 && facts.entries <= 6);
        assert_eq!(files(folder.path()).len() as u64, facts.entries);
    }
    assert!(disk.tally().gone(Gone::Entries).get() > 0);
    assert!(disk.tally().gone(Gone::Bytes).get() > 0);
    assert!(found(&disk, "/19").await.is_some());
    // What it could never hold is not saved, nor what was there before.
    save(&disk, "/19", &"x".repeat(50_000)).await;
    assert_eq!(found(&disk, "/19").await, None);
    assert_eq!(disk.tally().faults(Fault::Full).get(), 1);
    drop(disk);
    let disk = open(&folder, Limits { bytes: 4 * 4096, entries: 2 }).await;
    disk.counted().await;
    assert!(disk.facts().entries <= 2);
    assert_eq!(files(folder.path()).len() as u64, disk.facts().entries);
}

#[tokio::test]
async fn leaves_a_large_body_on_disk_and_gives_it_another_head() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    let response = large();
    disk.save(&key("/a"), &response);
    disk.settled().await;
    let on_disk = disk.load(&key("/a"), &HeaderMap::new(), &[]).await.unwrap();
    assert!(on_disk.body.region().is_some());
    let head = StoredHead { since: 7, ..(*on_disk.head).clone() };
    disk.save(&key("/a"), &Stored { head: Arc::new(head), body: on_disk.body.clone() });
    disk.settled().await;
    let again = disk.load(&key("/a"), &HeaderMap::new(), &[]).await.unwrap();
    assert_eq!(again.head.since, 7);
    assert_eq!(whole(&again.body), whole(&response.body));
    // Who reads the old file goes on.
    disk.remove(&key("/a")).await;
    assert_eq!(whole(&on_disk.body), whole(&response.body));
}

#[tokio::test]
async fn loads_what_is_large_and_may_be_compressed() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    let response = large();
    let head = StoredHead { compressible: true, ..(*response.head).clone() };
    disk.save(&key("/a"), &Stored { head: Arc::new(head), ..response.clone() });
    disk.settled().await;
    let loaded = disk.load(&key("/a"), &HeaderMap::new(), &[]).await.unwrap();
    assert!(loaded.body.region().is_none());
    assert_eq!(whole(&loaded.body), whole(&response.body));
}

/// Changes the only record there is, and looks it up: it is not found, counted and removed.
async fn check_unusable(change: impl Fn(&mut Vec<u8>), expected: Fault) {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    save(&disk, "/a", "text").await;
    let file = files(folder.path()).pop().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    change(&mut bytes);
    fs::write(&file, bytes).unwrap();
    assert_eq!(found(&disk, "/a").await, None);
    assert_eq!(disk.tally().faults(expected).get(), 1, "{expected:?}");
    disk.settled().await;
    assert_eq!(disk.tally().gone(Gone::Unusable).get(), 1);
    assert_eq!((files(folder.path()).len(), disk.facts().entries), (0, 0));
    save(&disk, "/a", "text").await;
    assert!(found(&disk, "/a").await.is_some());
}

#[tokio::test]
async fn misses_and_removes_what_is_not_as_it_was_written() {
    check_unusable(Vec::clear, Fault::Torn).await;
    check_unusable(|bytes| bytes.truncate(60), Fault::Torn).await;
    check_unusable(|bytes| *bytes.last_mut().unwrap() ^= 1, Fault::Torn).await;
    check_unusable(|bytes| bytes[0] ^= 1, Fault::Foreign).await;
    check_unusable(|bytes| bytes[7] += 1, Fault::Version).await;
}

#[tokio::test]
async fn takes_no_record_of_another_key() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    save(&disk, "/a", "a").await;
    let a = files(folder.path()).pop().unwrap();
    save(&disk, "/b", "b").await;
    let b = files(folder.path()).into_iter().find(|file| *file != a).unwrap();
    fs::copy(a, b).unwrap();
    assert_eq!(found(&disk, "/b").await, None);
    assert_eq!(disk.tally().faults(Fault::Foreign).get(), 1);
    assert_eq!(found(&disk, "/a").await.as_deref(), Some("a"));
}

#[tokio::test]
async fn waits_for_a_folder_that_another_has() {
    let folder = TempDir::new().unwrap();
    let old = open(&folder, ROOMY).await;
    save(&old, "/a", "a").await;
    save(&old, "/b", "b").await;
    let new = Disk::open(folder.path(), ROOMY).unwrap();
    assert!(!new.facts().is_here);
    assert_eq!(found(&new, "/a").await, None);
    new.save(&key("/c"), &stored("c", &[], &HeaderMap::new()));
    new.remove(&key("/a")).await;
    assert_eq!(found(&old, "/a").await, None);
    // The old one may put there again what the new one has removed.
    save(&old, "/a", "late").await;
    drop(old);
    new.here().await;
    assert_eq!(found(&new, "/a").await, None);
    assert_eq!(found(&new, "/b").await.as_deref(), Some("b"));
    assert_eq!(found(&new, "/c").await, None);
}

#[tokio::test]
async fn works_again_when_its_folder_was_removed() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    save(&disk, "/a", "a").await;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().len() == 2 {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    assert_eq!(found(&disk, "/a").await, None);
    disk.settled().await;
    assert_eq!(disk.facts().entries, 0);
    save(&disk, "/a", "again").await;
    assert_eq!(found(&disk, "/a").await.as_deref(), Some("again"));
    fs::remove_dir_all(folder.path()).unwrap();
    save(&disk, "/b", "b").await;
    assert_eq!(found(&disk, "/b").await.as_deref(), Some("b"));
    assert_eq!(disk.facts().entries, 1);
    // Its lock is the one that others ask for.
    assert!(!Disk::open(folder.path(), ROOMY).unwrap().facts().is_here);
}

#[tokio::test]
async fn serves_on_when_nothing_can_be_written() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    save(&disk, "/a", "a").await;
    // A file where its folder was: nothing can be written there, whoever asks.
    fs::remove_dir_all(folder.path().join("tmp")).unwrap();
    fs::write(folder.path().join("tmp"), "in the way").unwrap();
    save(&disk, "/b", "b").await;
    assert_eq!(found(&disk, "/b").await, None);
    assert_eq!(found(&disk, "/a").await.as_deref(), Some("a"));
    assert!(disk.tally().faults(Fault::Io).get() > 0);
    // What is older than what could not be written is not served either.
    save(&disk, "/a", "newer").await;
    assert_eq!(found(&disk, "/a").await, None);
    fs::remove_file(folder.path().join("tmp")).unwrap();
    save(&disk, "/b", "b").await;
    assert_eq!(found(&disk, "/b").await.as_deref(), Some("b"));
}

#[tokio::test]
async fn serves_on_when_the_disk_is_full() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    save(&disk, "/a", "a").await;
    disk.counted().await;
    // What is written here finds no room, once.
    let full = || std::os::unix::fs::symlink("/dev/full", folder.path().join("tmp/record"));
    full().unwrap();
    save(&disk, "/b", "b").await;
    assert_eq!(disk.tally().faults(Fault::Full).get(), 1);
    assert_eq!(found(&disk, "/b").await, None);
    assert_eq!(found(&disk, "/a").await.as_deref(), Some("a"));
    full().unwrap();
    save(&disk, "/a", "newer").await;
    assert_eq!(found(&disk, "/a").await, None);
    save(&disk, "/a", "newest").await;
    assert_eq!(found(&disk, "/a").await.as_deref(), Some("newest"));
    assert_eq!((disk.facts().entries, files(folder.path()).len()), (1, 1));
}

#[tokio::test]
async fn gives_nobody_what_it_cannot_remove() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    save(&disk, "/a", "a").await;
    // Nobody can remove a folder as if it were a file.
    let file = files(folder.path()).pop().unwrap();
    let record = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    disk.remove(&key("/a")).await;
    fs::remove_dir(&file).unwrap();
    fs::write(&file, record).unwrap();
    assert_eq!(found(&disk, "/a").await, None);
}

#[test]
fn refuses_a_folder_that_is_none() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = |path: &Path| Disk::open(path, ROOMY).unwrap_err().to_string();
    assert!(refused(&file).ends_with("is no folder; name one, or a path where nothing is yet"));
    assert!(refused(&file.join("within")).starts_with("cannot make the folder"));
    fs::create_dir_all(folder.path().join("a/lock")).unwrap();
    assert!(refused(&folder.path().join("a")).starts_with("cannot write to the folder"));
    assert!(refused(Path::new("/proc")).starts_with("cannot write to the folder"));
}

#[tokio::test]
async fn saves_no_more_than_may_wait() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder, ROOMY).await;
    let body = Bytes::from(vec![0; 20 << 20]);
    let response = Stored { body: Body::new(vec![body]), ..large() };
    for number in 0..20 {
        disk.save(&key(&format!("/{number}")), &response);
        assert!(disk.facts().waiting_bytes <= 64 << 20);
    }
    disk.settled().await;
    let tally = disk.tally();
    assert_eq!(tally.stores.get() + tally.faults(Fault::Busy).get(), 20);
    assert!(tally.faults(Fault::Busy).get() > 0);
}

#[derive(Clone, Debug)]
enum Step {
    Save { path: u8, tongue: Option<u8>, large: bool },
    Remove(u8),
    Clear,
    Settle,
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4_u8, prop::option::of(0..3_u8), any::<bool>())
            .prop_map(|(path, tongue, large)| Step::Save { path, tongue, large }),
        3 => (0..4_u8).prop_map(Step::Remove),
        1 => Just(Step::Clear),
        2 => Just(Step::Settle),
        1 => Just(Step::Reopen),
    ]
}

/// What was saved last under a path, as the numbers of steps: for all, and in each tongue.
type Newest = BTreeMap<(u8, Option<u8>), usize>;

/// Holds what is found of each path against what was saved last.
async fn check_newest(disk: &Disk, newest: &Newest) {
    for (path, tongue) in (0..4).flat_map(|path| (0..3).map(move |tongue| (path, tongue))) {
        let fields = request("x-tongue", &tongue.to_string());
        let key = key(&format!("/{path}"));
        let Some(stored) = disk.load(&key, &fields, &[]).await else { continue };
        let text = String::from_utf8(whole(&stored.body)).unwrap();
        let number: usize = text.split(' ').next().unwrap().parse().unwrap();
        let may = [newest.get(&(path, None)), newest.get(&(path, Some(tongue)))];
        assert!(may.contains(&Some(&number)), "{path} {tongue} {number} {newest:?}");
    }
}

async fn run(steps: Vec<Step>, limits: Limits) {
    let folder = TempDir::new().unwrap();
    let mut disk = open(&folder, limits).await;
    let mut newest = Newest::new();
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Save { path, tongue, large } => {
                let padding = if large { 1_100_000 } else { 0 };
                let text = format!("{number}{}", " ".repeat(padding));
                let response = match tongue {
                    None => stored(&text, &[], &HeaderMap::new()),
                    Some(one) => {
                        stored(&text, &["x-tongue"], &request("x-tongue", &one.to_string()))
                    }
                };
                disk.save(&key(&format!("/{path}")), &response);
                newest.insert((path, tongue), number);
            }
            Step::Remove(path) => {
                disk.remove(&key(&format!("/{path}"))).await;
                newest.retain(|(other, _), _| *other != path);
            }
            Step::Clear => {
                disk.clear().await;
                newest.clear();
            }
            Step::Settle => disk.settled().await,
            Step::Reopen => {
                disk.settled().await;
                drop(disk);
                disk = open(&folder, limits).await;
            }
        }
        let facts = disk.facts();
        assert!(facts.bytes <= limits.bytes && facts.entries <= limits.entries);
        check_newest(&disk, &newest).await;
    }
    disk.settled().await;
    disk.counted().await;
    assert_eq!(files(folder.path()).len() as u64, disk.facts().entries);
    check_newest(&disk, &newest).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn gives_what_was_saved_last_or_nothing(
        steps in prop::collection::vec(any_step(), 0..30),
        entries in 1..9_u64,
        pages in prop::sample::select(vec![3_u64, 300, 3000]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps, Limits { bytes: pages * 4096, entries }));
    }
}
