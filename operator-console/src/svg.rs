//! Lets a chart into a page only if it is inert. The host draws charts from
//! numbers and labels, and labels come from files that people write; this check
//! stands behind the drawing code and the content policy, not in their place. It
//! knows a small part of SVG and refuses the rest.

/// Elements a chart may have.
const ELEMENTS: [&str; 16] = [
    "svg", "g", "title", "desc", "defs", "rect", "line", "path", "circle", "ellipse", "polyline", "polygon", "text",
    "tspan", "pattern", "clipPath",
];

/// A chart that holds nothing but shapes and text. Made only by [`InertSvg::check`].
#[derive(Debug)]
pub(crate) struct InertSvg(String);

impl InertSvg {
    /// Takes a chart if every tag and attribute in it is harmless.
    pub(crate) fn check(svg: String) -> Option<Self> {
        let body = svg.trim();
        let framed = body.starts_with("<svg") && body.ends_with("</svg>") && body.matches("<svg").count() == 1;
        (framed && inert(body)).then(|| Self(body.to_owned()))
    }

    /// The chart as markup.
    pub(crate) fn markup(&self) -> &str {
        &self.0
    }
}

fn inert(svg: &str) -> bool {
    let mut depth = 0usize;
    // What stands before the first `<` is nothing: the text starts with a tag.
    for piece in svg.split('<').skip(1) {
        let Some((tag, text)) = split_tag(piece) else { return false };
        if text.contains('>') {
            return false;
        }
        if let Some(name) = tag.strip_prefix('/') {
            if !ELEMENTS.contains(&name.trim_end()) || depth == 0 {
                return false;
            }
            depth -= 1;
            // The chart ends where its outermost element ends.
            if depth == 0 && !text.is_empty() {
                return false;
            }
            continue;
        }
        let (tag, closed) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        if !ELEMENTS.contains(&name) || !harmless(attributes) {
            return false;
        }
        if !closed {
            depth += 1;
        }
    }
    depth == 0
}

/// Splits `tag attributes>text` at the first `>` outside quotes.
fn split_tag(piece: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    for (at, c) in piece.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '>' if !quoted => return Some((piece.get(..at)?, piece.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

/// Whether every attribute is written `name="value"`, its name is not one that can
/// run, load or restyle anything, and its value points to nothing outside.
fn harmless(attributes: &str) -> bool {
    let mut rest = attributes.trim_start();
    while !rest.is_empty() {
        let Some((name, after)) = rest.split_once("=\"") else { return false };
        let Some((value, after)) = after.split_once('"') else { return false };
        let lower = name.to_ascii_lowercase();
        let name_ok = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !lower.starts_with("on")
            && !matches!(lower.as_str(), "href" | "src" | "style");
        let value = value.to_ascii_lowercase().replace(char::is_whitespace, "");
        let value_ok = !value.contains("javascript:") && !value.replace("url(#", "").contains("url(");
        if !name_ok || !value_ok {
            return false;
        }
        rest = after.trim_start();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::InertSvg;

    fn takes(svg: &str) -> bool {
        InertSvg::check(svg.to_owned()).is_some()
    }

    #[test]
    fn shapes_and_text_pass() {
        assert!(takes(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10" role="img"><title>人 &lt; 车</title>
            <defs><pattern id="w" width="4" height="4"><path d="M0 4L4 0"/></pattern></defs>
            <rect x="1" y="1" width="2" height="3" fill="url(#w)" class="bar" aria-label="a > b"/><text x="1">一</text></svg>"##
        ));
    }

    #[test]
    fn whatever_can_run_load_or_escape_is_refused() {
        for svg in [
            "",
            "<p>no chart</p>",
            "<svg><script>alert(1)</script></svg>",
            "<svg onload=\"alert(1)\"></svg>",
            "<svg><rect ONCLICK=\"x\"/></svg>",
            "<svg><a href=\"javascript:x\"><text>t</text></a></svg>",
            "<svg><rect style=\"position:fixed\"/></svg>",
            "<svg><rect fill=\"url( https://e.example/x)\"/></svg>",
            "<svg><image href=\"https://e.example/x\"/></svg>",
            "<svg><foreignObject><p>x</p></foreignObject></svg>",
            "<svg><use xlink:href=\"#a\"/></svg>",
            "<svg><rect x='1' onclick='y'/></svg>",
            "<svg><rect x=1/></svg>",
            "<svg></svg><form action=\"/x\"></form><svg></svg>",
            "<svg><g></g></g></svg></svg>",
            "<svg><!-- --></svg>",
            "<svg><![CDATA[x]]></svg>",
            "<svg><text>a</text>",
            "<svg></svg>x</svg>",
            "<svg><rect x=\"1></svg>",
        ] {
            assert!(!takes(svg), "{svg}");
        }
    }
}
