//! Reads an HTTP answer out of the bytes that have come so far.

use serde_json::Value;

/// Longest head that is read.
const LONGEST_HEAD: usize = 16 << 10;
/// Longest body that is read: the description of a large VM has some ten kilobytes.
const LONGEST_BODY: usize = 4 << 20;

#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    Whole(Answer),
    /// More has to come.
    Part,
    /// No HTTP, or longer than is read.
    Wrong,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What the body says of a failure, in the words of the hypervisor.
    pub fn message(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text = text.trim();
        match serde_json::from_str(text) {
            // Firecracker
            Ok(Value::Object(fault)) => match fault.get("fault_message") {
                Some(Value::String(message)) => message.trim().to_owned(),
                _ => text.to_owned(),
            },
            // Cloud Hypervisor: a chain of causes
            Ok(Value::Array(causes)) => {
                let causes = causes.iter().filter_map(Value::as_str);
                causes.collect::<Vec<_>>().join(": ")
            }
            _ if text.is_empty() => "no reason given".to_owned(),
            _ => text.to_owned(),
        }
    }
}

pub fn parse(bytes: &[u8]) -> Parsed {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = bytes.windows(END.len()).position(|window| window == END) else {
        let begins = b"HTTP/1.".iter().zip(bytes).all(|(a, b)| a == b);
        return if begins && bytes.len() <= LONGEST_HEAD {
            Parsed::Part
        } else {
            Parsed::Wrong
        };
    };
    let head = std::str::from_utf8(&bytes[..end]).ok().and_then(head);
    let Some((status, length)) = head.filter(|(_, length)| *length <= LONGEST_BODY) else {
        return Parsed::Wrong;
    };
    match bytes[end + END.len()..].get(..length) {
        None => Parsed::Part,
        Some(body) => Parsed::Whole(Answer {
            status,
            body: body.to_owned(),
        }),
    }
}

/// Status and length of the body.
fn head(text: &str) -> Option<(u16, usize)> {
    let (first, headers) = text.split_once("\r\n").unwrap_or((text, ""));
    let mut words = first.split(' ');
    words
        .next()
        .filter(|version| version.starts_with("HTTP/1."))?;
    let status = words.next()?.parse().ok()?;
    let mut length = 0;
    for header in headers.split("\r\n").filter(|header| !header.is_empty()) {
        let (name, value) = header.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return None;
        }
    }
    Some((status, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(status: u16, body: &str) -> Parsed {
        Parsed::Whole(Answer {
            status,
            body: body.into(),
        })
    }

    #[rstest::rstest]
    #[case(
        "HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n",
        whole(204, "")
    )]
    #[case("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", whole(200, "{}"))]
    #[case("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}more", whole(200, "{}"))]
    #[case("", Parsed::Part)]
    #[case("HTT", Parsed::Part)]
    #[case("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{", Parsed::Part)]
    #[case("SSH-2.0", Parsed::Wrong)]
    #[case("{\"QMP\"", Parsed::Wrong)]
    #[case("HTTP/1.1 200\r\nContent-Length: 99999999\r\n\r\n", Parsed::Wrong)]
    #[case("HTTP/1.1 200\r\nContent-Length: -1\r\n\r\n", Parsed::Wrong)]
    #[case("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", Parsed::Wrong)]
    #[case("HTTP/1.1 OK\r\n\r\n", Parsed::Wrong)]
    fn answers(#[case] text: &str, #[case] expected: Parsed) {
        assert_eq!(parse(text.as_bytes()), expected);
    }

    #[test]
    fn a_head_without_end_is_not_read_for_ever() {
        let text = format!("HTTP/1.1 200\r\n{}", "x".repeat(LONGEST_HEAD));
        assert_eq!(parse(text.as_bytes()), Parsed::Wrong);
    }

    #[rstest::rstest]
    #[case(r#"{"fault_message":"No balloon\n"}"#, "No balloon")]
    #[case(r#"["Error","The VM is not booted"]"#, "Error: The VM is not booted")]
    #[case("plain words", "plain words")]
    #[case("", "no reason given")]
    #[case(r#"{"other":1}"#, r#"{"other":1}"#)]
    fn messages(#[case] body: &str, #[case] expected: &str) {
        let answer = Answer {
            status: 400,
            body: body.into(),
        };
        assert_eq!(answer.message(), expected);
    }
}
