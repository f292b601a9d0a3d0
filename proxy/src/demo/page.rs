//! The front page, put together once when the sample origin starts.

use super::bundle::Bundles;
use super::catalogue::{Catalogue, Product};
use super::language::Language;
use super::pictures;

/// Fills the template with the names of the bundles and the featured products.
pub(super) fn front(bundles: &Bundles, catalogue: &Catalogue) -> String {
    let cards: String = catalogue.featured().map(card).collect();
    let hero = pictures::named("valley.jpg");
    include_str!("pages/front.html")
        .replace("{{app}}", &bundles.app.path)
        .replace("{{vendor}}", &bundles.vendor.path)
        .replace("{{site}}", &bundles.site.path)
        .replace("{{hero-credit}}", hero.credit.unwrap_or(""))
        .replace("{{hero-shows}}", hero.shows)
        .replace("{{cards}}", &cards)
}

/// A product with its picture; nothing in the tables needs escaping, which a test holds.
fn card(product: &Product) -> String {
    let picture = pictures::named(product.kind.picture);
    let class = if picture.name.starts_with("drawing-") { "card drawing" } else { "card" };
    let credit = picture.credit.map_or_else(String::new, |credit| {
        format!("<figcaption class=\"credit\">Picture: {credit}</figcaption>")
    });
    format!(
        "<li class=\"{class}\"><figure><img src=\"/images/{file}\" alt=\"{shows}\" width=\"{width}\" \
         height=\"{height}\" loading=\"lazy\" decoding=\"async\">{credit}</figure>\
         <h3><a href=\"/api/products/{id}\">{name}</a></h3><p>{about}</p>\
         <p class=\"facts\"><span class=\"price\">{price} €</span><span>{stock} in stock</span>\
         <span>{maker}</span></p></li>\n",
        file = picture.name,
        shows = picture.shows,
        width = picture.width,
        height = picture.height,
        id = product.id,
        name = product.name(Language::English),
        about = product.kind.about.en,
        price = product.price(),
        stock = product.stock(),
        maker = product.maker().name,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_no_place_of_the_template_open() {
        let page = front(&Bundles::new(), &Catalogue::new());
        assert!(!page.contains("{{") && !page.contains("}}"));
    }

    #[test]
    fn names_the_author_of_each_photograph() {
        let page = front(&Bundles::new(), &Catalogue::new());
        for credit in pictures::PICTURES.iter().filter_map(|picture| picture.credit) {
            assert!(page.contains(credit), "{credit}");
        }
    }

    #[test]
    fn writes_cards_that_need_no_escaping() {
        for product in Catalogue::new().featured() {
            let name = product.name(Language::English);
            assert!(!name.contains(['<', '&', '"']), "{name}");
            assert!(!product.kind.about.en.contains(['<', '&', '"']), "{name}");
        }
    }
}
