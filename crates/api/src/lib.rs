//! HTTP dialects: thin translations between clients' APIs and the engine.
