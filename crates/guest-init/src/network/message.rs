//! Messages of DHCP (RFC 2131, RFC 2132).

use std::net::Ipv4Addr;

const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const ETHERNET: u8 = 1;
/// Replies must reach an interface that has no address.
const BROADCAST: [u8; 2] = [0x80, 0];
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Where options begin.
const HEAD: usize = 240;

mod option {
    pub const MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DNS: u8 = 6;
    pub const HOST_NAME: u8 = 12;
    pub const DOMAIN: u8 = 15;
    pub const ADDRESS: u8 = 50;
    pub const LEASE: u8 = 51;
    pub const KIND: u8 = 53;
    pub const SERVER: u8 = 54;
    pub const WANTED: u8 = 55;
    pub const END: u8 = 255;
}

pub const DISCOVER: u8 = 1;
pub const OFFER: u8 = 2;
pub const ASK: u8 = 3;
pub const ACK: u8 = 5;

/// What a server gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub mask: Ipv4Addr,
    pub router: Option<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    pub domain: Option<String>,
    pub server: Option<Ipv4Addr>,
    pub seconds: u32,
}

/// A question of ours; `of` names the address that is asked for, and the server that offered it.
pub fn question(
    kind: u8,
    transaction: u32,
    mac: [u8; 6],
    host_name: &str,
    of: Option<(Ipv4Addr, Option<Ipv4Addr>)>,
) -> Vec<u8> {
    let mut message = vec![0; HEAD];
    message[..4].copy_from_slice(&[REQUEST, ETHERNET, 6, 0]);
    message[4..8].copy_from_slice(&transaction.to_be_bytes());
    message[10..12].copy_from_slice(&BROADCAST);
    message[28..34].copy_from_slice(&mac);
    message[236..240].copy_from_slice(&COOKIE);
    let mut add = |code: u8, value: &[u8]| {
        let length = value.len().min(255);
        message.extend([code, length as u8]);
        message.extend(&value[..length]);
    };
    add(option::KIND, &[kind]);
    if let Some((address, server)) = of {
        add(option::ADDRESS, &address.octets());
        if let Some(server) = server {
            add(option::SERVER, &server.octets());
        }
    }
    if !host_name.is_empty() {
        add(option::HOST_NAME, host_name.as_bytes());
    }
    add(
        option::WANTED,
        &[
            option::MASK,
            option::ROUTER,
            option::DNS,
            option::DOMAIN,
            option::LEASE,
        ],
    );
    message.push(option::END);
    message
}

/// Kind and lease of an answer to this transaction; `None` for anything else.
pub fn answer(message: &[u8], transaction: u32, mac: [u8; 6]) -> Option<(u8, Lease)> {
    let is_ours = message.len() > HEAD
        && message[0] == REPLY
        && message[4..8] == transaction.to_be_bytes()
        && message[28..34] == mac
        && message[236..240] == COOKIE;
    if !is_ours {
        return None;
    }
    let address = |bytes: &[u8]| Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(..4)?).ok()?));
    let mut kind = None;
    let mut lease = Lease {
        address: address(&message[16..20])?,
        mask: Ipv4Addr::new(255, 255, 255, 0),
        router: None,
        dns: Vec::new(),
        domain: None,
        server: None,
        seconds: 3600,
    };
    for (code, value) in options(&message[HEAD..]) {
        match code {
            option::KIND => kind = value.first().copied(),
            option::MASK => lease.mask = address(value)?,
            option::ROUTER => lease.router = address(value),
            option::DNS => lease.dns = value.chunks_exact(4).filter_map(address).collect(),
            option::SERVER => lease.server = address(value),
            option::DOMAIN => lease.domain = name(value),
            option::LEASE => lease.seconds = u32::from_be_bytes(value.try_into().ok()?),
            _ => {}
        }
    }
    Some((kind?, lease))
}

/// Codes and values; ends at the first that is cut off.
fn options(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while let Some((&code, rest)) = bytes.split_first() {
        if code == 0 {
            bytes = rest;
            continue;
        }
        let Some((&length, rest)) = rest.split_first().filter(|_| code != option::END) else {
            break;
        };
        let Some(value) = rest.get(..length.into()) else {
            break;
        };
        found.push((code, value));
        bytes = &rest[value.len()..];
    }
    found
}

/// It goes into a file: what is no name of a domain is left out.
fn name(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim_end_matches('\0');
    let right = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    right.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    fn reply(options: &[u8]) -> Vec<u8> {
        let mut message = question(OFFER, 7, MAC, "", None);
        message.truncate(HEAD);
        message[0] = REPLY;
        message[16..20].copy_from_slice(&[10, 0, 2, 15]);
        message.extend(options);
        message
    }

    #[test]
    fn an_answer_is_read() {
        let options = [
            53, 1, 5, 1, 4, 255, 255, 0, 0, 0, 3, 4, 10, 0, 2, 2, 6, 8, 1, 1, 1, 1, 8, 8, 8, 8, 15,
            3, b'l', b'a', b'n', 51, 4, 0, 0, 0, 60, 54, 4, 10, 0, 2, 2, 255,
        ];
        let (kind, lease) = answer(&reply(&options), 7, MAC).unwrap();
        let address = |text: &str| text.parse::<Ipv4Addr>().unwrap();
        assert_eq!(kind, ACK);
        let expected = Lease {
            address: address("10.0.2.15"),
            mask: address("255.255.0.0"),
            router: Some(address("10.0.2.2")),
            dns: vec![address("1.1.1.1"), address("8.8.8.8")],
            domain: Some("lan".into()),
            server: Some(address("10.0.2.2")),
            seconds: 60,
        };
        assert_eq!(lease, expected);
    }

    #[test]
    fn what_is_for_others_or_broken_is_passed_over() {
        let whole = reply(&[53, 1, 2, 255]);
        assert!(answer(&whole, 8, MAC).is_none());
        assert!(answer(&whole, 7, [0; 6]).is_none());
        for length in 0..whole.len() {
            let _ = answer(&whole[..length], 7, MAC);
        }
        assert!(answer(&reply(&[53, 200, 2]), 7, MAC).is_none());
        let hostile = reply(&[53, 1, 2, 15, 3, b'a', b'\n', b'b', 255]);
        assert_eq!(answer(&hostile, 7, MAC).unwrap().1.domain, None);
    }

    #[test]
    fn a_question_is_of_the_least_size_and_ends() {
        let text = question(ASK, 7, MAC, "web", Some((Ipv4Addr::new(10, 0, 0, 2), None)));
        assert_eq!(text[HEAD..HEAD + 3], [53, 1, ASK]);
        assert_eq!(text.last(), Some(&option::END));
    }
}
