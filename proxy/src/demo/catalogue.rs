//! The catalogue of the sample platform: products made out of the tables, and their JSON.

use std::num::{NonZeroUsize, ParseIntError};

use serde::Serialize;

use super::language::Language;
use super::mark;
use super::parts::{CATEGORIES, Category, KINDS, Kind, MAKERS, Maker};
use super::pictures;
use super::query;

/// How many products a page of the list holds.
pub(super) const PER_PAGE: usize = 20;

/// When the catalogue was last changed, as it says itself.
const UPDATED: &str = "2025-09-01T06:00:00Z";

/// A kind of part in one size and one material.
pub(super) struct Product {
    pub(super) id: u32,
    pub(super) kind: &'static Kind,
    size: usize,
    material: usize,
    cents: u32,
    grams: u32,
    stock: u64,
    lead_days: u64,
}

impl Product {
    /// What the product is called.
    pub(super) fn name(&self, language: Language) -> String {
        let kind = language.choose(&self.kind.name);
        let material = language.choose(&self.kind.materials[self.material]);
        format!("{kind} {}, {material}", self.kind.sizes[self.size])
    }

    /// What one costs, in euros.
    pub(super) fn price(&self) -> String {
        euros(u64::from(self.cents))
    }

    /// How many lie ready.
    pub(super) const fn stock(&self) -> u64 {
        self.stock
    }

    /// The firm that makes it.
    ///
    /// # Panics
    ///
    /// Never: a test asks for the maker of each kind.
    pub(super) fn maker(&self) -> &'static Maker {
        MAKERS.iter().find(|maker| maker.id == self.kind.maker).expect("each kind has its maker")
    }

    fn category(&self) -> &'static Category {
        CATEGORIES
            .iter()
            .find(|category| category.id == self.kind.category)
            .expect("each kind has its category")
    }

    fn number(&self) -> String {
        format!("{}-{:02}{:02}-{}", self.kind.code, self.size, self.material, self.id)
    }

    fn matches(&self, filter: &Filter) -> bool {
        let in_category =
            filter.category.as_deref().is_none_or(|category| category == self.kind.category);
        let called_so = filter.words.as_deref().is_none_or(|words| {
            let words = words.to_lowercase();
            [self.name(Language::English), self.name(Language::German), self.number()]
                .iter()
                .any(|name| name.to_lowercase().contains(&words))
        });
        in_category && called_so
    }
}

/// Writes cents as euros: `12.05`.
pub(super) fn euros(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Which products a list is to hold.
#[derive(Default)]
pub(super) struct Filter {
    pub(super) page: usize,
    pub(super) words: Option<String>,
    pub(super) category: Option<String>,
}

impl Filter {
    /// Reads `?page=`, `?q=` and `?category=`.
    ///
    /// # Errors
    ///
    /// [`BadQuery::Page`] if the page is no number from 1 up.
    pub(super) fn read(query: Option<&str>) -> Result<Self, BadQuery> {
        let given = |name| query::value(query, name).filter(|value: &String| !value.is_empty());
        let page = match given("page") {
            None => 1,
            Some(text) => text.parse::<NonZeroUsize>().map_err(BadQuery::Page)?.get(),
        };
        Ok(Self { page, words: given("q"), category: given("category") })
    }

    fn link(&self, page: usize) -> String {
        let mut link = format!("/api/products?page={page}");
        for (name, value) in [("q", &self.words), ("category", &self.category)] {
            if let Some(value) = value {
                link.push_str(&format!("&{name}={}", query::encoded(value)));
            }
        }
        link
    }
}

/// What is wrong with the query of a list.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadQuery {
    /// The page is no number from 1 up.
    #[error("page: expected a number from 1 up")]
    Page(#[source] ParseIntError),
}

/// JSON and the surrogate keys that name what is in it.
pub(super) struct Document {
    pub(super) json: Vec<u8>,
    pub(super) tags: String,
}

impl Document {
    /// # Panics
    ///
    /// Never: the views of this module hold only what JSON can say.
    pub(super) fn new(view: &impl Serialize, tags: impl Into<String>) -> Self {
        let json = serde_json::to_vec_pretty(view).expect("a view is plain text and numbers");
        Self { json, tags: tags.into() }
    }
}

/// All products in the order of the list.
pub(super) struct Catalogue {
    products: Vec<Product>,
}

impl Catalogue {
    /// Makes every product; the same ones on every machine.
    pub(super) fn new() -> Self {
        let mut products: Vec<Product> = KINDS.iter().flat_map(of_kind).collect();
        products.sort_by_key(|product| mark::mix(mark::hash(product.number().as_bytes())));
        for (id, product) in (1001..).zip(&mut products) {
            product.id = id;
        }
        Self { products }
    }

    /// The product with this `id`.
    pub(super) fn product(&self, id: &str) -> Option<&Product> {
        self.products.iter().find(|product| product.id.to_string() == id)
    }

    /// One product of those that there are, always the same for the same `number`.
    pub(super) fn pick(&self, number: u64) -> &Product {
        mark::pick(&self.products, number)
    }

    /// The products of the front page: the first of each of the first nine kinds.
    pub(super) fn featured(&self) -> impl Iterator<Item = &Product> {
        KINDS.iter().take(9).filter_map(|kind| {
            self.products.iter().find(|product| {
                product.kind.code == kind.code && product.size == 0 && product.material == 0
            })
        })
    }

    /// The list that `filter` asks for.
    pub(super) fn list(&self, filter: &Filter, language: Language) -> Document {
        let found: Vec<_> = self.products.iter().filter(|one| one.matches(filter)).collect();
        let pages = found.len().div_ceil(PER_PAGE);
        let first = filter.page.saturating_sub(1).saturating_mul(PER_PAGE);
        let here: Vec<_> = found.iter().copied().skip(first).take(PER_PAGE).collect();
        let next = (filter.page < pages).then(|| filter.link(filter.page + 1));
        let previous = (filter.page > 1).then(|| filter.link(filter.page - 1));
        let view = ListView {
            total: found.len(),
            page: filter.page,
            pages,
            per_page: PER_PAGE,
            links: Links { this: filter.link(filter.page), next, previous },
            items: here.iter().map(|product| ProductView::new(product, language)).collect(),
        };
        let tags = here.iter().map(|product| format!(" product-{}", product.id));
        Document::new(&view, std::iter::once("products".to_owned()).chain(tags).collect::<String>())
    }

    /// Everything about one product.
    pub(super) fn detail(&self, product: &Product, language: Language) -> Document {
        let related = self
            .products
            .iter()
            .filter(|other| other.kind.code == product.kind.code && other.id != product.id);
        let view = DetailView {
            product: ProductView::new(product, language),
            price_breaks: [10, 100, 1000]
                .map(|from| PriceBreak { from, price: price_from(product, from) }),
            sizes: product.kind.sizes,
            related: related.take(6).map(|other| format!("/api/products/{}", other.id)).collect(),
        };
        let (category, maker) = (product.kind.category, product.kind.maker);
        let tags = format!("product-{} category-{category} manufacturer-{maker}", product.id);
        Document::new(&view, tags)
    }

    /// All categories.
    pub(super) fn categories(&self, language: Language) -> Document {
        let views: Vec<_> =
            CATEGORIES.iter().map(|category| self.category_view(category, language)).collect();
        Document::new(&Items { total: views.len(), items: views }, "categories")
    }

    /// One category.
    pub(super) fn category(&self, id: &str, language: Language) -> Option<Document> {
        let category = CATEGORIES.iter().find(|category| category.id == id)?;
        let tags = format!("categories category-{id}");
        Some(Document::new(&self.category_view(category, language), tags))
    }

    /// All makers.
    pub(super) fn makers(&self) -> Document {
        let views: Vec<_> = MAKERS.iter().map(|maker| self.maker_view(maker)).collect();
        Document::new(&Items { total: views.len(), items: views }, "manufacturers")
    }

    /// One maker.
    pub(super) fn maker(&self, id: &str) -> Option<Document> {
        let maker = MAKERS.iter().find(|maker| maker.id == id)?;
        Some(Document::new(&self.maker_view(maker), format!("manufacturers manufacturer-{id}")))
    }

    fn category_view(&self, category: &Category, language: Language) -> CategoryView {
        let products = self.products.iter().filter(|one| one.kind.category == category.id);
        CategoryView {
            id: category.id,
            name: language.choose(&category.name).to_owned(),
            description: language.choose(&category.about).to_owned(),
            products: products.count(),
            href: format!("/api/products?category={}", category.id),
        }
    }

    fn maker_view(&self, maker: &'static Maker) -> MakerView {
        MakerView {
            id: maker.id,
            name: maker.name,
            city: maker.city,
            country: maker.country,
            founded: maker.founded,
            certificates: maker.certificates,
            products: self.products.iter().filter(|one| one.kind.maker == maker.id).count(),
            href: format!("/api/manufacturers/{}", maker.id),
        }
    }
}

/// Each size in each material; ids are given later.
fn of_kind(kind: &'static Kind) -> impl Iterator<Item = Product> {
    let sizes = (0..).zip(kind.sizes);
    sizes.flat_map(move |(size, _)| {
        (0..).zip(kind.materials).map(move |(material, _)| made(kind, size, material))
    })
}

fn made(kind: &'static Kind, size: usize, material: usize) -> Product {
    let seed = mark::hash(format!("{} {size} {material}", kind.code).as_bytes());
    let percent = [100, 46, 62, 81, 118, 142, 176, 210].get(size).copied().unwrap_or(100);
    let extra = [100, 124, 158, 231].get(material).copied().unwrap_or(100);
    Product {
        id: 0,
        kind,
        size,
        material,
        cents: kind.cents * percent / 100 * extra / 100,
        grams: kind.grams * percent / 100,
        stock: mark::between(3, 4 + 400_000 / u64::from(kind.cents + 160), seed),
        lead_days: mark::between(2, 29, seed ^ 7),
    }
}

fn price_from(product: &Product, from: u64) -> String {
    let percent = match from {
        0..100 => 100,
        100..1000 => 93,
        _ => 86,
    };
    euros(u64::from(product.cents) * percent / 100)
}

#[derive(Serialize)]
pub(super) struct Items<T> {
    pub(super) total: usize,
    pub(super) items: Vec<T>,
}

#[derive(Serialize)]
struct Links {
    #[serde(rename = "self")]
    this: String,
    next: Option<String>,
    previous: Option<String>,
}

#[derive(Serialize)]
struct ListView {
    total: usize,
    page: usize,
    pages: usize,
    per_page: usize,
    links: Links,
    items: Vec<ProductView>,
}

#[derive(Serialize)]
struct Named {
    id: &'static str,
    name: String,
    href: String,
}

#[derive(Serialize)]
struct PictureView {
    href: String,
    width: u32,
    height: u32,
    credit: Option<&'static str>,
}

#[derive(Serialize)]
struct ProductView {
    id: u32,
    number: String,
    name: String,
    description: String,
    category: Named,
    manufacturer: Named,
    material: String,
    size: &'static str,
    standard: &'static str,
    price: String,
    currency: &'static str,
    stock: u64,
    lead_time_days: u64,
    mass_g: u32,
    picture: PictureView,
    updated: &'static str,
    href: String,
}

impl ProductView {
    fn new(product: &Product, language: Language) -> Self {
        let (category, maker) = (product.category(), product.maker());
        let picture = pictures::named(product.kind.picture);
        Self {
            id: product.id,
            number: product.number(),
            name: product.name(language),
            description: language.choose(&product.kind.about).to_owned(),
            category: Named {
                id: category.id,
                name: language.choose(&category.name).to_owned(),
                href: format!("/api/categories/{}", category.id),
            },
            manufacturer: Named {
                id: maker.id,
                name: maker.name.to_owned(),
                href: format!("/api/manufacturers/{}", maker.id),
            },
            material: language.choose(&product.kind.materials[product.material]).to_owned(),
            size: product.kind.sizes[product.size],
            standard: product.kind.standard,
            price: product.price(),
            currency: "EUR",
            stock: product.stock,
            lead_time_days: product.lead_days,
            mass_g: product.grams,
            picture: PictureView {
                href: format!("/images/{}", picture.name),
                width: picture.width,
                height: picture.height,
                credit: picture.credit,
            },
            updated: UPDATED,
            href: format!("/api/products/{}", product.id),
        }
    }
}

#[derive(Serialize)]
struct PriceBreak {
    from: u64,
    price: String,
}

#[derive(Serialize)]
struct DetailView {
    #[serde(flatten)]
    product: ProductView,
    price_breaks: [PriceBreak; 3],
    sizes: &'static [&'static str],
    related: Vec<String>,
}

#[derive(Serialize)]
struct CategoryView {
    id: &'static str,
    name: String,
    description: String,
    products: usize,
    href: String,
}

#[derive(Serialize)]
struct MakerView {
    id: &'static str,
    name: &'static str,
    city: &'static str,
    country: &'static str,
    founded: u16,
    certificates: &'static [&'static str],
    products: usize,
    href: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> serde_json::Value {
        let filter = Filter::read(Some(query)).expect("a page from 1 up");
        let document = Catalogue::new().list(&filter, Language::English);
        serde_json::from_slice(&document.json).expect("the list is JSON")
    }

    fn items(list: &serde_json::Value) -> usize {
        list["items"].as_array().map_or(0, Vec::len)
    }

    #[test]
    fn holds_as_many_products_as_a_small_platform() {
        let total = Catalogue::new().products.len();
        assert!((180..320).contains(&total), "{total}");
    }

    #[test]
    fn fills_every_page_but_the_last() {
        let pages = page("page=1")["pages"].as_u64().expect("a number of pages");
        let total: usize = (1..=pages).map(|number| items(&page(&format!("page={number}")))).sum();
        assert_eq!(items(&page("page=1")), PER_PAGE);
        assert_eq!(Some(total as u64), page("page=1")["total"].as_u64());
        assert_eq!(items(&page(&format!("page={}", pages + 1))), 0);
        assert_eq!(items(&page(&format!("page={}", usize::MAX))), 0);
    }

    #[test]
    fn finds_a_product_by_a_word_of_either_language() {
        assert_eq!(page("q=spur+gear")["total"], page("q=STIRNRAD")["total"]);
        assert_eq!(items(&page("q=no+such+part")), 0);
    }

    #[test]
    fn keeps_the_filter_in_the_links() {
        let list = page("category=flanges&q=DN+1");
        assert_eq!(list["links"]["self"], "/api/products?page=1&q=DN%201&category=flanges");
        let every = list["items"].as_array().expect("a list of products");
        assert!(every.iter().all(|product| product["category"]["id"] == "flanges"));
    }

    #[test]
    fn refuses_a_page_that_is_no_number_from_1_up() {
        for query in ["page=0", "page=-1", "page=x", "page=99999999999999999999999"] {
            assert!(Filter::read(Some(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn shows_nine_products_on_the_front_page() {
        assert_eq!(Catalogue::new().featured().count(), 9);
    }
}
