//! The frame of a page that needs no other file.

use maud::{Markup, PreEscaped, html};

use crate::plot::STYLE;

/// A whole page with its title, its heading and its content.
///
/// ```
/// use autoloss_report::document;
///
/// let page = document("a < b", "A page", &maud::html! { p { "Content." } });
/// assert!(page.contains("<title>a &lt; b</title>"));
/// assert!(page.ends_with("<h1>A page</h1>\n<p>Content.</p></body></html>\n"));
/// ```
#[must_use]
pub fn document(title: &str, heading: &str, content: &Markup) -> String {
    let page = html! {
        (PreEscaped("<!doctype html>\n"))
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            "\n"
            body { h1 { (heading) } "\n" (content) }
        }
        "\n"
    };
    page.into_string()
}
