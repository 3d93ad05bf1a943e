//! What a parameter is to an optimizer, told by its name and its neighbours.

use std::collections::BTreeSet;

/// What a parameter is to the optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Weight,
    Norm,
    Bias,
    NormBias,
    Mixture,
}

/// A mixture is known by its centers, a batch norm by its running mean; a norm's scale is the only weight of one axis.
pub(super) fn role(name: &str, rank: usize, names: &BTreeSet<&str>) -> Role {
    let (module, leaf) = name.rsplit_once('.').unwrap_or(("", name));
    let beside = |sibling: &str| match module {
        "" => names.contains(sibling),
        module => names.contains(format!("{module}.{sibling}").as_str()),
    };
    match leaf {
        "centers" | "projections" | "weight" if beside("centers") => Role::Mixture,
        "bias" if beside("running_mean") => Role::NormBias,
        _ if leaf.starts_with("bias") => Role::Bias,
        _ if rank <= 1 => Role::Norm,
        _ => Role::Weight,
    }
}
