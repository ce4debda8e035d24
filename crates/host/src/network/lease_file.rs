//! What dnsmasq says of the leases that it has given.

use std::net::IpAddr;

/// A lease that a guest has asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Seconds since 1970; `None` where it does not end.
    pub expires: Option<u64>,
    /// In lower case; of IPv6 leases it is not known.
    pub mac: Option<String>,
    pub address: IpAddr,
    pub name: Option<String>,
}

/// One a line: time, MAC address, address, name or `*`, client. What is none is passed over, as
/// the line of the server's own DUID, after which those of IPv6 come.
pub fn parse(text: &str) -> Vec<Held> {
    text.lines().filter_map(held).collect()
}

fn held(line: &str) -> Option<Held> {
    let mut words = line.split_whitespace();
    let expires: u64 = words.next()?.parse().ok()?;
    let hardware = words.next()?;
    let address: IpAddr = words.next()?.parse().ok()?;
    let name = words.next().filter(|name| *name != "*");
    Some(Held {
        expires: (expires != 0).then_some(expires),
        mac: address.is_ipv4().then(|| hardware.to_ascii_lowercase()),
        address,
        name: name.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_families() {
        let text = "1700000000 02:00:00:00:00:01 10.0.0.3 web 01:02:00:00:00:00:01\n\
                    0 02:00:00:00:00:0A 10.0.0.200 * *\n\
                    duid 00:01:00:01:2c:c1\n\
                    1700000001 12345 fd12::5 * 00:01\n\
                    broken\n";
        let held = parse(text);
        assert_eq!(held.len(), 3);
        assert_eq!(held[0].expires, Some(1_700_000_000));
        assert_eq!(held[0].name.as_deref(), Some("web"));
        assert_eq!(held[1].mac.as_deref(), Some("02:00:00:00:00:0a"));
        assert_eq!((held[1].expires, &held[1].name), (None, &None));
        assert_eq!(held[2].mac, None);
    }
}
