//! Resources of Kubernetes: mirrored into the store by the node that leads, and told there what became of them.

mod mirror;
mod object;
mod ours;
