//! gRPC on the same port as everything else: `weaviate.v1.Weaviate` and `grpc.health.v1.Health`.
//!
//! [`service`](self) takes calls apart and puts answers together; each call has a file. Requests are brought into the shape of REST
//! (a `where` clause, an object to write), so that both are understood, checked and refused alike.

mod aggregate;
mod batch;
mod filters;
mod incoming;
mod outgoing;
mod proto;
mod search;
mod service;
mod tenants;
mod vectors;

pub(super) use service::router;
