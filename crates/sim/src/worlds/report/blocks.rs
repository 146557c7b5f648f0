//! Documents of which parts are generated and the rest is written by hand.
//!
//! A part begins with the line `<!-- sim worlds: NAME -->` and ends with `<!-- end of NAME -->`.

/// Why a document could not be filled in; lines are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDocument {
    /// A part begins and does not end.
    #[error("line {line}: {} has no line {} below it", begin(.name), end(.name))]
    NoEnd {
        /// The part.
        name: String,
        /// Where it begins.
        line: usize,
    },
    /// None of the parts that there are is asked for.
    #[error("no part of it is to be filled in: it has none of the lines {}", .0.iter().map(|name| begin(name)).collect::<Vec<_>>().join(", "))]
    NoPart(Vec<String>),
}

/// A generated part of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Whole lines of Markdown.
    pub text: String,
}

impl Part {
    /// With the lines between which it stands.
    pub fn marked(&self) -> String {
        format!("{}\n\n{}\n{}\n", begin(&self.name), self.text, end(&self.name))
    }
}

/// The document with its generated parts as they are now. Parts of other names stay as they are.
pub fn fill_in(document: &str, parts: &[Part]) -> Result<String, BadDocument> {
    let mut filled = String::with_capacity(document.len());
    let mut found = false;
    let mut lines = (1..).zip(document.lines());
    while let Some((line, text)) = lines.next() {
        let Some(part) = parts.iter().find(|part| text.trim() == begin(&part.name)) else {
            filled.push_str(text);
            filled.push('\n');
            continue;
        };
        found = true;
        filled.push_str(&part.marked());
        let last = end(&part.name);
        if !lines.any(|(_, text)| text.trim() == last) {
            return Err(BadDocument::NoEnd { name: part.name.clone(), line });
        }
    }
    let names = || parts.iter().map(|part| part.name.clone()).collect();
    if found { Ok(filled) } else { Err(BadDocument::NoPart(names())) }
}

fn begin(name: &str) -> String {
    format!("<!-- sim worlds: {name} -->")
}

fn end(name: &str) -> String {
    format!("<!-- end of {name} -->")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, text: &str) -> Part {
        Part { name: name.into(), text: text.into() }
    }

    const DOCUMENT: &str = "# By hand\n\n<!-- sim worlds: a -->\nold\nolder\n<!-- end of a -->\nbetween\n\
                            <!-- sim worlds: b -->\nb\n<!-- end of b -->\nfoot\n";

    #[test]
    fn only_what_is_between_the_lines_changes() {
        let filled = fill_in(DOCUMENT, &[part("a", "new\n"), part("c", "nowhere\n")]).unwrap();
        let expected = DOCUMENT.replace("-->\nold\nolder\n", "-->\n\nnew\n\n");
        assert_eq!(filled, expected);
        assert_eq!(fill_in(&filled, &[part("a", "new\n")]).unwrap(), filled);
    }

    #[test]
    fn a_document_without_such_lines_is_left_alone() {
        let why = fill_in("# By hand\n", &[part("a", "new\n")]).unwrap_err();
        assert!(why.to_string().contains("none of the lines <!-- sim worlds: a -->"), "{why}");
    }

    #[test]
    fn a_part_that_does_not_end_is_named() {
        let open = DOCUMENT.replace("<!-- end of a -->\n", "");
        let why = fill_in(&open, &[part("a", "new\n")]).unwrap_err();
        let expected = "line 3: <!-- sim worlds: a --> has no line <!-- end of a --> below it";
        assert_eq!(why.to_string(), expected);
    }
}
