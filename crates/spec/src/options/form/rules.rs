//! Whether a text has one of the forms that take more than a comparison to tell.

pub fn is_line(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && c != '\t')
}

pub fn is_word(text: &str, max: usize, others: &[u8]) -> bool {
    (1..=max).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || others.contains(&b))
}

/// sshd(8): perhaps options, a type, the key in base64 (whose first bytes are a length, so that
/// it begins with `AAAA`), perhaps a comment.
pub fn is_ssh_key(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).any(|pair| {
        let known = ["ssh-", "ecdsa-", "sk-"]
            .iter()
            .any(|start| pair[0].starts_with(start));
        known && pair[1].starts_with("AAAA")
    })
}

/// systemd.unit(5): at most 255 characters with one of the known endings.
pub fn is_unit(text: &str) -> bool {
    const ENDINGS: [&str; 9] = [
        "service",
        "socket",
        "target",
        "timer",
        "mount",
        "path",
        "automount",
        "swap",
        "slice",
    ];
    is_word(text, 255, b"-_.:@\\")
        && text.rsplit_once('.').is_some_and(|(name, ending)| {
            !name.is_empty() && !name.starts_with(['-', '@']) && ENDINGS.contains(&ending)
        })
}

pub fn is_user(text: &str) -> bool {
    (1..=31).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
}

pub fn is_owner(text: &str) -> bool {
    let part = |text: &str| is_user(text) || is_number(text);
    match text.split_once(':') {
        Some((user, group)) => part(user) && part(group),
        None => part(text),
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<u32>().is_ok() && text.bytes().all(|b| b.is_ascii_digit())
}

pub fn is_bytes(text: &str) -> bool {
    text.strip_suffix(['K', 'M', 'G'])
        .is_some_and(|number| is_number(number) && number.parse() != Ok(0))
}

/// Debian Policy 5.6.1, and `:amd64` for an architecture.
pub fn is_package(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.:".contains(&b))
}

pub fn is_url(text: &str) -> bool {
    ["http://", "https://", "file:///"]
        .iter()
        .any(|scheme| text.len() > scheme.len() && text.starts_with(scheme))
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}
