//! What leases cost and what they leave unused, as tables: `cargo run -p tollgate-jepsen --release --bin efficiency`.

fn main() {
    tollgate_jepsen::efficiency::table::print();
}
