//! Measures how long it takes to find the route of a request among 10, 100 and 1,000.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use forebay_config::{RouteRequest, Routes, parse};

/// A kind of routes, and requests for the first, for the last and for none of them.
struct Kind {
    name: &'static str,
    /// What the route of this number matches.
    matched: fn(usize) -> String,
    /// Host and path of a request for the route of this number.
    request: fn(usize) -> (String, String),
}

const KINDS: [Kind; 5] = [
    Kind {
        name: "folders",
        matched: |n| format!("path = '/shop/department-{n}/**'"),
        request: |n| ("a.example".into(), format!("/shop/department-{n}/shoes/red.html")),
    },
    Kind {
        name: "globs",
        matched: |n| format!("path = '/shop/department-{n}/*/[0-9]*.html'"),
        request: |n| ("a.example".into(), format!("/shop/department-{n}/shoes/42.html")),
    },
    // Nothing but the end of a path tells these apart.
    Kind {
        name: "endings",
        matched: |n| format!("path = '/shop/**/part-*-{n}.html'"),
        request: |n| ("a.example".into(), format!("/shop/shoes/part-red-{n}.html")),
    },
    // These can only be tried one after the other.
    Kind {
        name: "middles",
        matched: |n| format!("path = '/shop/*-{n}-*.html'"),
        request: |n| ("a.example".into(), format!("/shop/part-{n}-red.html")),
    },
    Kind {
        name: "hosts",
        matched: |n| format!("host = 'tenant-{n}.example'"),
        request: |n| (format!("tenant-{n}.example"), "/shop/shoes/red.html".into()),
    },
];

fn routes(kind: &Kind, count: usize) -> Routes {
    let mut text = String::from(
        "version = 1\nlisteners.a.address = '127.0.0.1:0'\n\
         origins.a.servers = ['http://127.0.0.1:1']\n",
    );
    for n in 0..count {
        let matched = (kind.matched)(n);
        write!(
            text,
            "[[routes]]\nname = 'r{n}'\nmatch = {{ {matched} }}\norigin = 'a'\npolicy = 'api'\n"
        )
        .expect("a string takes every write");
    }
    parse("bench", &text, Path::new(""), &|_| None)
        .unwrap_or_else(|faults| panic!("{faults}"))
        .routes
}

fn find(criterion: &mut Criterion) {
    let fields = Vec::<(String, String)>::new();
    for kind in &KINDS {
        for count in [10, 100, 1_000] {
            let routes = routes(kind, count);
            for (place, number) in [("first", 0), ("last", count - 1), ("none", count)] {
                let (host, path) = (kind.request)(number);
                let request = RouteRequest {
                    host: &host,
                    path: &path,
                    method: "GET",
                    query: None,
                    fields: &fields,
                };
                let expected = (number < count).then_some(number);
                let found = routes.find(&request).map(|route| route.index);
                assert_eq!(found, expected, "{host} {path}");
                let name = format!("{}/{count}/{place}", kind.name);
                criterion.bench_function(&name, |bencher| {
                    bencher.iter(|| routes.find(black_box(&request)).map(|route| route.index));
                });
            }
        }
    }
}

criterion_group!(benches, find);
criterion_main!(benches);
