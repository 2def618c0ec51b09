//! Create, list, restore, delete.

mod backup;
mod create;
mod delete;
mod list;
mod origin;
mod restore;

pub use create::create;
pub use delete::delete;
pub use list::{in_bucket, list};
pub use origin::Origin;
pub use restore::restore;
