//! The middleware.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};

use super::caller::Caller;

/// Every request comes from [`Caller::local_admin`]: for offline commands and tests.
pub fn without_credentials(router: Router) -> Router {
    router.layer(from_fn(|mut request: Request, next: Next| {
        request.extensions_mut().insert(Caller::local_admin());
        next.run(request)
    }))
}
