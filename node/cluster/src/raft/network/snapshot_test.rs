//! Snapshots on their way.
