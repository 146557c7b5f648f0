//! DER, as little of it as is walked and written here (X.690 sections 8.1 and 10.1).

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// Its identifier octet.
    pub(crate) tag: u8,
    /// All of it, as it stands there.
    pub(crate) whole: &'a [u8],
    /// What it holds.
    pub(crate) content: &'a [u8],
}

pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// The element at the beginning, and what follows it.
pub(crate) fn split(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    // Identifiers of several octets stand in no certificate.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = split_length(rest)?;
    let (content, after) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - after.len())?;
    Some((Element { tag: *tag, whole, content }, after))
}

/// The one element that the bytes are, of this kind.
pub(crate) fn sole(bytes: &[u8], tag: u8) -> Option<Element<'_>> {
    let (element, rest) = split(bytes)?;
    (element.tag == tag && rest.is_empty()).then_some(element)
}

/// The elements, one after the other, that the bytes are.
pub(crate) fn elements(mut bytes: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (element, rest) = split(bytes)?;
        found.push(element);
        bytes = rest;
    }
    Some(found)
}

/// An element of this kind with this content.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = content.len().to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let mut der = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length @ ..0x80) => der.push(length),
        // No more digits than a usize has octets.
        _ => der.extend(std::iter::once(0x80 | digits.len() as u8).chain(digits)),
    }
    der.extend_from_slice(content);
    der
}

fn split_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    match first {
        0..=0x7f => Some((usize::from(*first), rest)),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            let shortest = length >= 0x80 && digits.first() != Some(&0);
            shortest.then_some((length, rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_every_length() {
        for (length, header) in [
            (0, vec![0x30, 0]),
            (0x7f, vec![0x30, 0x7f]),
            (0x80, vec![0x30, 0x81, 0x80]),
            (0xff, vec![0x30, 0x81, 0xff]),
            (0x100, vec![0x30, 0x82, 1, 0]),
            (0x1_0000, vec![0x30, 0x83, 1, 0, 0]),
        ] {
            let content = vec![5; length];
            let der = element(SEQUENCE, &content);
            assert_eq!(der, [header, content.clone()].concat());
            let read = sole(&der, SEQUENCE).unwrap();
            assert_eq!((read.whole, read.content), (der.as_slice(), content.as_slice()));
            assert_eq!(sole(&der, OCTET_STRING), None);
        }
    }

    #[test]
    fn what_is_not_der_is_no_element() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 1],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x81, 1, 0],
            &[0x30, 0x82, 0, 0x80],
            &[0x30, 0x84, 0, 0, 0, 1, 0],
            &[0x30, 0xff],
            &[0x1f, 0x01, 0],
        ] {
            assert_eq!(split(bytes), None, "{bytes:?}");
        }
        assert_eq!(elements(&[4, 0, 4, 1]), None);
        assert_eq!(elements(&[4, 0, 4, 1, 7]).unwrap().len(), 2);
        assert_eq!(sole(&[4, 0, 4, 0], OCTET_STRING), None);
    }
}
