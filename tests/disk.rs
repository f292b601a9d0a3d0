//! What is stored on disk: it answers after a restart, it is bounded, and no fault of it is an
//! answer.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Answer, Edge, HOST, Origin, Reply, Request, Setup, sample};

/// A folder for stored responses, and the edges that use it one after the other.
struct Disk {
    folder: TempDir,
    policy: &'static str,
    size: &'static str,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for stored responses");
        Self { folder, policy: "", size: "64MiB" }
    }

    fn with_policy(policy: &'static str) -> Self {
        Self { policy, ..Self::new() }
    }

    async fn edge(&self, origin: &Origin) -> Edge {
        let cache = format!(
            "memory = \"16MiB\"\ndisk = {{ path = {:?}, size = \"{}\" }}",
            self.folder.path().join("stored"),
            self.size
        );
        Setup::before(origin).cache(&cache).policy(self.policy).start().await
    }

    /// The files of stored responses.
    fn records(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let folders = fs::read_dir(self.folder.path().join("stored")).expect("it is a folder");
        for folder in folders.map(|entry| entry.expect("it can be read").path()) {
            let is_of_records = folder.file_name().is_some_and(|name| name.len() == 2);
            if is_of_records && folder.is_dir() {
                let entries = fs::read_dir(&folder).expect("it is a folder");
                found.extend(entries.map(|entry| entry.expect("it can be read").path()));
            }
        }
        found
    }
}

/// Waits until `edge` has written so many records to disk.
async fn written(edge: &Edge, count: usize) {
    let line = "forebay_tier_stores_total{tier=\"disk\"}";
    edge.metrics_until(|metrics| sample(metrics, line) >= count as f64).await;
}

/// Ends `edge` at once, as a crash would.
async fn crash(mut edge: Edge) {
    edge.signal("KILL");
    edge.ended().await;
}

#[track_caller]
fn from_disk(reply: &Reply) {
    let status = reply.field("cache-status").unwrap_or_default();
    assert!(status.contains("; hit") && status.ends_with("; detail=disk"), "{status}");
}

#[tokio::test]
async fn what_is_on_disk_answers_after_a_crash() {
    let origin = Origin::with("/a", Answer::cached("stored", "max-age=60")).await;
    let disk = Disk::new();
    let edge = disk.edge(&origin).await;
    edge.get("/a").await.answered(200, "stored");
    written(&edge, 1).await;
    crash(edge).await;
    let edge = disk.edge(&origin).await;
    let first = edge.get("/a").await;
    first.answered(200, "stored").has("cache-control", "max-age=60");
    from_disk(&first);
    // It went up to memory.
    let second = edge.get("/a").await;
    second.answered(200, "stored").hit();
    assert_eq!(second.cache_status_value("detail"), None);
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn what_is_on_its_way_to_disk_is_there_after_a_stop() {
    let origin = Origin::with("/a", Answer::cached("stored", "max-age=60")).await;
    let disk = Disk::new();
    let mut edge = disk.edge(&origin).await;
    edge.get("/a").await.answered(200, "stored");
    edge.signal("TERM");
    edge.ended().await;
    from_disk(disk.edge(&origin).await.get("/a").await.answered(200, "stored"));
}

#[tokio::test]
async fn each_variant_is_found_again() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        let tongue = request.field("accept-language").unwrap_or_default();
        Answer::cached(&tongue, "max-age=60").field("Vary", "Accept-Language")
    });
    let disk = Disk::new();
    let edge = disk.edge(&origin).await;
    for tongue in ["en", "de", "fr"] {
        edge.get_with("/a", "Accept-Language", tongue).await.answered(200, tongue);
    }
    written(&edge, 3).await;
    crash(edge).await;
    let edge = disk.edge(&origin).await;
    for tongue in ["de", "fr", "en"] {
        let reply = edge.get_with("/a", "Accept-Language", tongue).await;
        from_disk(reply.answered(200, tongue));
    }
    edge.get_with("/a", "Accept-Language", "it").await.answered(200, "it");
    assert_eq!(origin.count("/a"), 4);
}

/// 3 MB of which no two parts are the same, and which nobody would compress.
fn large() -> Vec<u8> {
    (0..3_000_000_u32).flat_map(|at| [(at.wrapping_mul(2_654_435_761) >> 24) as u8]).collect()
}

#[tokio::test]
async fn what_is_large_is_read_from_disk_while_it_is_sent() {
    let body = large();
    let answer = Answer::bytes(body.clone())
        .field("Cache-Control", "max-age=60")
        .field("Content-Type", "image/jpeg")
        .field("ETag", "\"a\"");
    let origin = Origin::with("/a", answer).await;
    let disk = Disk::new();
    let edge = disk.edge(&origin).await;
    edge.get("/a").await.status(200);
    written(&edge, 1).await;
    crash(edge).await;
    let edge = disk.edge(&origin).await;
    let whole = edge.get("/a").await;
    from_disk(whole.status(200).has("content-length", "3000000"));
    assert!(whole.bytes == body, "{} bytes came back", whole.bytes.len());
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=65530-131080", 65_530, 131_081),
        ("bytes=-7", 2_999_993, 3_000_000),
    ] {
        let part = edge.get_with("/a", "Range", range).await;
        from_disk(part.status(206));
        assert!(part.bytes == body[from..to], "{range}: {} bytes", part.bytes.len());
    }
    edge.get_with("/a", "If-None-Match", "\"a\"").await.status(304);
    edge.get_with("/a", "Range", "bytes=4000000-").await.status(416);
    // All of it stayed on disk.
    let metrics = edge.admin(&Request::get("/metrics")).await.text();
    assert!(sample(&metrics, "forebay_tier_bytes{tier=\"memory\"}") < 10_000.0, "{metrics}");
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn what_is_purged_does_not_come_back_from_disk() {
    for wish in [
        json!({"url": format!("http://{HOST}/a")}),
        json!({"url": format!("http://{HOST}/a"), "mode": "hard"}),
        json!({"tag": "shoes"}),
        json!({"tag": "shoes", "mode": "hard"}),
        json!({"prefix": "/"}),
        json!({"all": true, "mode": "hard"}),
    ] {
        let origin = Origin::start().await;
        origin.answers_by("/a", |request| {
            Answer::cached(&request.earlier.to_string(), "max-age=60")
                .field("Surrogate-Key", "shoes")
        });
        let disk = Disk::new();
        let edge = disk.edge(&origin).await;
        edge.get("/a").await.answered(200, "0");
        written(&edge, 1).await;
        // Also what memory does not know.
        crash(edge).await;
        let edge = disk.edge(&origin).await;
        let purge = Request::new("POST", "/purge").body(&wish.to_string());
        edge.admin(&purge).await.status(200);
        crash(edge).await;
        let edge = disk.edge(&origin).await;
        edge.get("/a").await.answered(200, "1");
        edge.get("/a").await.answered(200, "1").hit();
    }
}

#[tokio::test]
async fn what_was_purged_softly_stands_in_for_an_origin_that_fails() {
    let mut origin = Origin::start().await;
    let answer = Answer::cached("old", "max-age=60").field("Surrogate-Key", "shoes");
    origin.answers("/a", answer);
    let disk = Disk::with_policy("stale_if_error = \"1h\"");
    let edge = disk.edge(&origin).await;
    edge.get("/a").await.answered(200, "old");
    written(&edge, 1).await;
    let purge = Request::new("POST", "/purge").body(&json!({"tag": "shoes"}).to_string());
    edge.admin(&purge).await.status(200);
    crash(edge).await;
    let edge = disk.edge(&origin).await;
    origin.stop().await;
    let reply = edge.get("/a").await;
    reply.answered(200, "old");
    assert_eq!(reply.cache_status_value("fwd").as_deref(), Some("stale"));
}

#[tokio::test]
async fn what_a_change_invalidated_does_not_come_back_from_disk() {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        if request.method == "POST" {
            return Answer::status(204);
        }
        Answer::cached(&request.earlier.to_string(), "max-age=60")
    });
    let disk = Disk::new();
    let edge = disk.edge(&origin).await;
    edge.get("/a").await.answered(200, "0");
    written(&edge, 1).await;
    edge.send(&Request::new("POST", "/a").body("x")).await.status(204);
    edge.get("/a").await.answered(200, "2");
    written(&edge, 2).await;
    crash(edge).await;
    from_disk(disk.edge(&origin).await.get("/a").await.answered(200, "2"));
}

/// Stores `/a`, does `harm` to its record, and tells what an edge that knows only the disk answers.
async fn after(harm: impl Fn(&Path)) -> (Edge, Reply) {
    let origin = Origin::start().await;
    origin.answers_by("/a", |request| {
        Answer::cached(&format!("answer {}", request.earlier), "max-age=60")
    });
    let disk = Disk::new();
    let edge = disk.edge(&origin).await;
    edge.get("/a").await.answered(200, "answer 0");
    written(&edge, 1).await;
    crash(edge).await;
    let records = disk.records();
    assert_eq!(records.len(), 1, "{records:?}");
    records.iter().for_each(|record| harm(record));
    let edge = disk.edge(&origin).await;
    let reply = edge.get("/a").await;
    (edge, reply)
}

#[tokio::test]
async fn a_record_that_is_not_as_it_was_written_is_a_miss() {
    for at in [0, 5, 20, 60, usize::MAX] {
        let (edge, reply) = after(|record| {
            let mut bytes = fs::read(record).unwrap();
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= 0x10;
            fs::write(record, bytes).unwrap();
        })
        .await;
        reply.answered(200, "answer 1");
        let metrics = edge.admin(&Request::get("/metrics")).await.text();
        let count = |fault| {
            sample(
                &metrics,
                &format!("forebay_tier_faults_total{{fault=\"{fault}\",tier=\"disk\"}}"),
            )
        };
        let faults: f64 = ["torn", "foreign", "version"].map(count).iter().sum();
        assert!(faults >= 1.0, "{at}: {metrics}");
    }
}

#[tokio::test]
async fn a_record_that_was_cut_off_is_a_miss() {
    for keep in [0, 10, 100] {
        let (_edge, reply) = after(|record| {
            let bytes = fs::read(record).unwrap();
            fs::write(record, &bytes[..keep.min(bytes.len() - 1)]).unwrap();
        })
        .await;
        reply.answered(200, "answer 1");
    }
}

#[tokio::test]
async fn a_large_body_that_is_not_as_it_was_written_is_never_taken_for_whole() {
    let body = large();
    let answer = Answer::bytes(body.clone())
        .field("Cache-Control", "max-age=60")
        .field("Content-Type", "image/jpeg");
    let origin = Origin::with("/a", answer).await;
    let disk = Disk::new();
    let edge = disk.edge(&origin).await;
    edge.get("/a").await.status(200);
    written(&edge, 1).await;
    crash(edge).await;
    for record in disk.records() {
        let mut bytes = fs::read(&record).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&record, bytes).unwrap();
    }
    let edge = disk.edge(&origin).await;
    let mut connection = edge.connect().await;
    connection.send(Request::get("/a").http1()).await;
    connection.head().await.status(200);
    let sent = connection.rest().await;
    assert!(sent.len() < body.len() && body.starts_with(&sent), "{} bytes", sent.len());
    let again = edge.get("/a").await;
    assert!(again.status(200).bytes == body);
    assert_eq!(origin.count("/a"), 2);
}

/// Between 1 byte and 400 KB that are those of this number alone.
fn body_of(number: u32) -> Vec<u8> {
    let length = number.wrapping_mul(2_654_435_761) % 400_000 + 1;
    (0..length).map(|at| (at.wrapping_mul(number + 3) >> 3).to_le_bytes()[0]).collect()
}

#[tokio::test]
async fn an_edge_that_is_killed_while_it_writes_leaves_no_wrong_answer() {
    const COUNT: u32 = 40;
    let origin = Origin::start().await;
    for number in 0..COUNT {
        let answer = Answer::bytes(body_of(number)).field("Cache-Control", "max-age=600");
        origin.answers(&format!("/{number}"), answer.field("Content-Type", "image/png"));
    }
    let disk = Disk::new();
    for round in 0..8 {
        let edge = disk.edge(&origin).await;
        // Each round begins elsewhere, and is cut off while the last of it are being written.
        for number in (0..COUNT).map(|number| (number + round * 7) % COUNT).take(15) {
            let reply = edge.get(&format!("/{number}")).await;
            assert!(reply.status(200).bytes == body_of(number), "/{number} in round {round}");
        }
        crash(edge).await;
    }
    let edge = disk.edge(&origin).await;
    let before = origin.all().len();
    for number in 0..COUNT {
        let reply = edge.get(&format!("/{number}")).await;
        assert!(reply.status(200).bytes == body_of(number), "/{number}");
    }
    let lost = origin.all().len() - before;
    assert!(lost < 10, "{lost} of {COUNT} were not there any more");
    let metrics = edge.admin(&Request::get("/metrics")).await.text();
    for fault in ["torn", "foreign", "version"] {
        let name = format!("forebay_tier_faults_total{{fault=\"{fault}\",tier=\"disk\"}}");
        assert!(sample(&metrics, &name) < 1.0, "{fault}: a file is renamed when it is whole");
    }
}

#[tokio::test]
async fn a_folder_that_is_gone_takes_no_answer_away() {
    let origin = Origin::start().await;
    for number in 0..20 {
        origin.answers(&format!("/{number}"), Answer::cached("stored", "max-age=60"));
    }
    let disk = Disk::new();
    let edge = disk.edge(&origin).await;
    edge.get("/0").await.answered(200, "stored");
    written(&edge, 1).await;
    fs::remove_dir_all(disk.folder.path().join("stored")).expect("it can be removed");
    for number in 0..20 {
        edge.get(&format!("/{number}")).await.answered(200, "stored");
        edge.get(&format!("/{number}")).await.answered(200, "stored").hit();
    }
}

#[tokio::test]
async fn the_disk_tier_stays_within_its_size() {
    let origin = Origin::start().await;
    for number in 0..60 {
        let body = "x".repeat(100_000 + number);
        origin.answers(&format!("/{number}"), Answer::cached(&body, "max-age=60"));
    }
    let disk = Disk { size: "2MiB", ..Disk::with_policy("compress = { codings = [] }") };
    let edge = disk.edge(&origin).await;
    for number in 0..60 {
        edge.get(&format!("/{number}")).await.status(200);
    }
    written(&edge, 60).await;
    let taken = || {
        disk.records().iter().map(|file| fs::metadata(file).map_or(0, |it| it.len())).sum::<u64>()
    };
    edge.metrics_until(|metrics| {
        sample(metrics, "forebay_tier_evictions_total{cause=\"bytes\",tier=\"disk\"}") >= 40.0
            && taken() <= 2 << 20
    })
    .await;
    assert!(taken() > 1 << 20, "{}", taken());
}

#[tokio::test]
async fn many_who_want_the_same_from_disk_read_it_once() {
    let origin = Origin::with("/a", Answer::cached("stored", "max-age=60")).await;
    let disk = Disk::new();
    let edge = disk.edge(&origin).await;
    edge.get("/a").await.answered(200, "stored");
    written(&edge, 1).await;
    crash(edge).await;
    let edge = disk.edge(&origin).await;
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(edge.connect().await);
    }
    for connection in &mut connections {
        connection.send(Request::get("/a").http1()).await;
    }
    for connection in &mut connections {
        connection.reply("GET").await.answered(200, "stored").hit();
    }
    assert_eq!(origin.count("/a"), 1);
    let metrics = edge.admin(&Request::get("/metrics")).await.text();
    let hits = sample(&metrics, "forebay_tier_lookups_total{result=\"hit\",tier=\"disk\"}");
    assert!(hits < 50.0, "{hits}");
}
