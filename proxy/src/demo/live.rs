//! What changes by itself: the board of latest orders and the machines of the hall.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::catalogue::{Catalogue, Document, Items, euros};
use super::language::{Language, Text};
use super::{date, mark};
use crate::time::Timestamp;

/// A customer somewhere orders once in so many seconds.
const RHYTHM: u64 = 5;
/// How many orders the board shows.
const SHOWN: usize = 12;
/// How many orders of visitors are kept.
const KEPT: usize = 50;
/// The machines report once in so many seconds.
const TURN: i64 = 10;

/// An order: all about it follows from its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    number: Number,
    placed: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    /// The n-th since 1970 of the orders that come in by themselves.
    Customer(u64),
    /// The n-th that was placed with `POST` since the program started.
    Visitor(u64),
}

impl Order {
    pub(super) fn number(self) -> String {
        match self.number {
            Number::Customer(count) => format!("MO-{count}"),
            Number::Visitor(count) => format!("WO-{count:04}"),
        }
    }

    /// The order that came in during the `count`-th beat since 1970.
    fn of_customer(count: u64) -> Self {
        let beat = Duration::from_secs(count.saturating_mul(RHYTHM));
        let within = Duration::from_secs(mark::mix(count) % RHYTHM);
        let placed = Timestamp::default().after(beat).after(within);
        Self { number: Number::Customer(count), placed }
    }

    fn seed(self) -> u64 {
        match self.number {
            Number::Customer(count) => mark::mix(count),
            Number::Visitor(count) => mark::mix(!count),
        }
    }

    fn view(self, catalogue: &Catalogue, language: Language, now: Timestamp) -> OrderView {
        let product = catalogue.pick(self.seed());
        let quantity = *mark::pick(&[1, 2, 4, 5, 8, 10, 12, 20, 25, 50, 100, 250], self.seed() ^ 3);
        let each = product.price().replace('.', "").parse().unwrap_or(0_u64);
        let status = match now.since(self.placed).0 {
            0..20 => Text { en: "received", de: "eingegangen" },
            20..45 => Text { en: "confirmed", de: "bestätigt" },
            _ => Text { en: "in production", de: "in Fertigung" },
        };
        OrderView {
            number: self.number(),
            placed: date::iso(self.placed),
            status: language.choose(&status).to_owned(),
            product: product.name(language),
            product_href: format!("/api/products/{}", product.id),
            quantity,
            total: euros(each * quantity),
            currency: "EUR",
            ship_to: mark::pick::<&str>(&PLACES, self.seed() ^ 5),
            href: format!("/api/orders/{}", self.number()),
        }
    }
}

const MACHINES: [&str; 5] = ["lathe", "mill", "gear hobber", "press", "grinder"];

const PLACES: [&str; 10] = [
    "Aarhus, DK",
    "Antwerp, BE",
    "Bologna, IT",
    "Bremen, DE",
    "Gdynia, PL",
    "Leeds, GB",
    "Linz, AT",
    "Lyon, FR",
    "Turku, FI",
    "Vigo, ES",
];

/// The orders that visitors placed; those of customers follow from the time.
#[derive(Default)]
pub(super) struct Orders {
    placed: AtomicU64,
    kept: Mutex<VecDeque<Order>>,
}

impl Orders {
    /// Takes an order in, forgetting the oldest when there are too many.
    pub(super) fn place(&self, now: Timestamp) -> Order {
        let count = self.placed.fetch_add(1, Ordering::Relaxed) + 1;
        let order = Order { number: Number::Visitor(count), placed: now };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front(order);
        kept.truncate(KEPT);
        order
    }

    /// The order with this number, if it was placed before `now` and is still known.
    pub(super) fn find(&self, number: &str, now: Timestamp) -> Option<Order> {
        if let Some(count) = number.strip_prefix("MO-") {
            let Ok(count) = count.parse() else { return None };
            let order = Order::of_customer(count);
            return (order.placed <= now && order.number() == number).then_some(order);
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().copied().find(|order| order.number() == number)
    }

    /// The latest orders, the newest first.
    fn latest(&self, now: Timestamp) -> Vec<Order> {
        let beat = u64::try_from(now.as_seconds()).unwrap_or(0) / RHYTHM;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut orders: Vec<Order> = kept.iter().copied().collect();
        drop(kept);
        orders.extend((0..=SHOWN as u64).map(|back| Order::of_customer(beat.saturating_sub(back))));
        orders.retain(|order| order.placed <= now);
        orders.sort_by_key(|order| std::cmp::Reverse(order.placed));
        orders.truncate(SHOWN);
        orders
    }

    /// The board of latest orders, and when the newest of them was placed.
    pub(super) fn board(
        &self,
        catalogue: &Catalogue,
        language: Language,
        now: Timestamp,
    ) -> (Document, Timestamp) {
        let latest = self.latest(now);
        let newest = latest.first().map_or(now, |order| order.placed);
        let items: Vec<_> =
            latest.into_iter().map(|order| order.view(catalogue, language, now)).collect();
        (Document::new(&Items { total: items.len(), items }, "orders"), newest)
    }
}

/// One order as JSON.
pub(super) fn order_document(
    order: Order,
    catalogue: &Catalogue,
    language: Language,
    now: Timestamp,
) -> Document {
    let tags = format!("orders order-{}", order.number());
    Document::new(&order.view(catalogue, language, now), tags)
}

/// The machines of the hall.
pub(super) fn machines(now: Timestamp) -> Document {
    let turn = now.as_seconds().div_euclid(TURN);
    let items: Vec<_> = (1..=8).map(|number| machine(number, turn)).collect();
    Document::new(&Items { total: items.len(), items }, "machines")
}

fn machine(number: u64, turn: i64) -> MachineView {
    let seed = mark::mix(turn.unsigned_abs() ^ (number << 40));
    let running = !seed.is_multiple_of(6);
    MachineView {
        machine: format!("M{number:02}"),
        kind: mark::pick::<&str>(&MACHINES, number),
        status: if running { "running" } else { "setup" },
        spindle_rpm: if running { mark::between(800, 6200, seed) } else { 0 },
        load_percent: if running { mark::between(35, 96, seed ^ 1) } else { 0 },
        coolant_celsius: mark::between(19, 31, seed ^ 2),
        pieces_today: mark::between(40, 900, number),
    }
}

#[derive(Serialize)]
struct OrderView {
    number: String,
    placed: String,
    status: String,
    product: String,
    product_href: String,
    quantity: u64,
    total: String,
    currency: &'static str,
    ship_to: &'static str,
    href: String,
}

#[derive(Serialize)]
struct MachineView {
    machine: String,
    kind: &'static str,
    status: &'static str,
    spindle_rpm: u64,
    load_percent: u64,
    coolant_celsius: u64,
    pieces_today: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_seconds(1_780_000_000);

    #[test]
    fn shows_no_order_of_the_future() {
        for later in 0..20 {
            let now = NOON.after(Duration::from_secs(later));
            let latest = Orders::default().latest(now);
            assert_eq!(latest.len(), SHOWN);
            assert!(latest.iter().all(|order| order.placed <= now));
        }
    }

    #[test]
    fn shows_the_order_of_a_visitor_first() {
        let orders = Orders::default();
        let placed = orders.place(NOON);
        assert_eq!(orders.latest(NOON).first(), Some(&placed));
    }

    #[test]
    fn finds_every_order_of_the_board() {
        let orders = Orders::default();
        orders.place(NOON);
        for order in orders.latest(NOON) {
            assert_eq!(orders.find(&order.number(), NOON), Some(order));
        }
    }

    #[test]
    fn finds_no_order_that_was_not_placed() {
        for number in ["MO-", "MO-x", "MO-0356000001", "MO-18446744073709551615", "WO-0001", ""] {
            assert_eq!(Orders::default().find(number, NOON), None, "{number}");
        }
    }

    #[test]
    fn forgets_the_oldest_orders_of_visitors() {
        let orders = Orders::default();
        let first = orders.place(NOON);
        for _ in 0..KEPT {
            orders.place(NOON);
        }
        assert_eq!(orders.find(&first.number(), NOON), None);
    }
}
