//! Puts the user's configuration over ours.

use serde_json::{Map, Value};

/// Lists of devices, and by what their entries are told apart.
const DEVICES: [(&str, &str); 3] = [
    ("drives", "drive_id"),
    ("network-interfaces", "iface_id"),
    ("pmem", "id"),
];

/// Merges objects key by key, and devices by their ids: one with an id of ours changes ours, any
/// other follows ours. Of everything else the user's value stands.
pub(super) fn into(config: &mut Map<String, Value>, user: &Map<String, Value>) {
    for (key, value) in user {
        let id = DEVICES.iter().find(|(list, _)| list == key);
        match (config.get_mut(key), value, id) {
            (Some(Value::Object(ours)), Value::Object(theirs), _) => into(ours, theirs),
            (Some(Value::Array(ours)), Value::Array(theirs), Some((_, id))) => {
                theirs.iter().for_each(|device| add(ours, device, id));
            }
            _ => {
                config.insert(key.clone(), value.clone());
            }
        }
    }
}

fn add(devices: &mut Vec<Value>, device: &Value, id: &str) {
    let same = devices
        .iter_mut()
        .find(|ours| device.get(id).is_some() && ours.get(id) == device.get(id));
    match (same, device) {
        (Some(Value::Object(ours)), Value::Object(theirs)) => into(ours, theirs),
        _ => devices.push(device.clone()),
    }
}
