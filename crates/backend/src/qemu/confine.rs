//! What QEMU gives up once it runs: system calls and the rights of root.

use spec::vm::InterfaceKind;

use super::{Context, forward};
use crate::args::{Args, Opts};
use crate::plan::Version;

pub(super) fn push(context: &Context, args: &mut Args) {
    if let Some(user) = switched_user(context) {
        // `-runas` is deprecated from 9.1 on.
        if context.facts.version >= Version(9, 1, 0) {
            args.pair("-run-with", Opts::new("").set("user", user));
        } else {
            args.pair("-runas", user);
        }
    }
    if context.facts.sandbox && !has_bridge(context) {
        args.pair("-sandbox", sandbox(context));
    }
}

fn switched_user<'a>(context: &Context<'a>) -> Option<&'a str> {
    let user = context.vm.user.as_deref()?;
    context.facts.root.then_some(user)
}

/// qemu-bridge-helper gains its rights by its file mode, which a sandbox does not allow.
fn has_bridge(context: &Context) -> bool {
    let interfaces = context.vm.interfaces.iter();
    interfaces
        .into_iter()
        .any(|interface| matches!(interface.kind, InterfaceKind::Bridge { .. }))
}

fn sandbox(context: &Context) -> Opts {
    let relays = forward::relayed(context.vm).next().is_some();
    // Drivers of graphics cards start programs and bind threads to processors.
    let graphics = context.vm.graphics.is_some();
    // `deny` and `children` both kill QEMU when it changes its user, and `deny` each relay in its
    // setsid() (7.2).
    let elevates = switched_user(context).is_some() || relays;
    Opts::new("on")
        .set("obsolete", "deny")
        .set_if(!elevates, "elevateprivileges", "deny")
        .set_if(!relays && !graphics, "spawn", "deny")
        .set_if(!graphics, "resourcecontrol", "deny")
}
