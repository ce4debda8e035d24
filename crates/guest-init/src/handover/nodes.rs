//! The list of device nodes that load their module when they are opened, as tmpfiles.d(5) wants it:
//! what `kmod static-nodes` makes of `modules.devname`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

const LIST: &str = "run/tmpfiles.d/static-nodes.conf";

/// Writes the list for the running kernel; says whether there was one to write.
pub fn list(root: &Path) -> std::io::Result<bool> {
    let release = std::fs::read_to_string(root.join("proc/sys/kernel/osrelease"));
    let Ok(release) = release else {
        return Ok(false);
    };
    let modules = root.join("lib/modules").join(release.trim());
    let Ok(names) = std::fs::read_to_string(modules.join("modules.devname")) else {
        return Ok(false);
    };
    let list = root.join(LIST);
    if let Some(directory) = list.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(list, tmpfiles(&names))?;
    Ok(true)
}

/// `MODULE NODE TYPE MAJOR:MINOR` a line becomes a node that only root may open until udev says
/// otherwise; its directories come first.
fn tmpfiles(names: &str) -> String {
    let mut text = String::new();
    let mut made = BTreeSet::new();
    for line in names.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (Some(node), Some(device)) = (words.next(), words.next()) else {
            continue;
        };
        let Some((kind, number)) = device.split_at_checked(1) else {
            continue;
        };
        if line.starts_with('#') || !matches!(kind, "b" | "c") || node.contains("..") {
            continue;
        }
        for (at, _) in node.match_indices('/') {
            if made.insert(&node[..at]) {
                let _ = writeln!(text, "d /dev/{} 0755 - - -", &node[..at]);
            }
        }
        let _ = writeln!(text, "{kind}! /dev/{node} 0600 - - - {number}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_what_kmod_makes() {
        let names = "# Device nodes to trigger on-demand module loading.\n\
                     tun net/tun c10:200\nfuse fuse c10:229\nsnd_seq snd/seq c116:1\n\
                     snd_timer snd/timer c116:33\nbroken\n";
        assert_eq!(
            tmpfiles(names),
            "d /dev/net 0755 - - -\nc! /dev/net/tun 0600 - - - 10:200\n\
             c! /dev/fuse 0600 - - - 10:229\nd /dev/snd 0755 - - -\n\
             c! /dev/snd/seq 0600 - - - 116:1\nc! /dev/snd/timer 0600 - - - 116:33\n"
        );
    }
}
