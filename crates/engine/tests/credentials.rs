//! Credentials from their making to their end, and the audit log.

#![allow(clippy::unwrap_used)]

mod common;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use common::{World, config, world};
use snapkeep_drivers::StoreDriver;
use snapkeep_engine::credentials::{
    CredentialError, Credentials, Kind, Limits, NewCredential, Refused, Role, Secret,
};
use snapkeep_engine::{AuditOutcome, AuditQuery, AuditRecord, Clock, Engine, EngineConfig};
use snapkeep_store::{Store, StoreOptions};

const HERE: Option<IpAddr> = None;

fn new(name: &str, kind: Kind, role: Role) -> NewCredential {
    NewCredential {
        name: name.into(),
        kind,
        role,
        limits: Limits::default(),
        password: None,
    }
}

/// A world with an admin; the admin's password.
async fn with_admin() -> (World, Credentials, Secret) {
    let world = world().await;
    let credentials = world.engine.credentials();
    let issued = credentials
        .add(new("admin", Kind::Password, Role::Admin))
        .await
        .unwrap();
    (world, credentials, issued.secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_credential_is_an_admin_and_the_last_admin_stays() {
    let world = world().await;
    let credentials = world.engine.credentials();
    assert!(!credentials.exist());
    let limited = NewCredential {
        limits: Limits {
            repositories: Some(vec!["a".into()]),
            ..Limits::default()
        },
        ..new("x", Kind::Password, Role::Admin)
    };
    for refused in [
        new("x", Kind::Password, Role::Viewer),
        new("x", Kind::AccessKey, Role::Admin),
        limited,
    ] {
        let error = credentials.add(refused).await.unwrap_err();
        assert!(
            matches!(error, CredentialError::FirstMustBeAdmin { .. }),
            "{error}"
        );
    }
    credentials
        .add(new("admin", Kind::Password, Role::Admin))
        .await
        .unwrap();
    assert!(credentials.exist());
    // One that signs requests cannot manage credentials.
    credentials
        .add(new("cloud", Kind::AccessKey, Role::Admin))
        .await
        .unwrap();
    let error = credentials.remove("admin").await.unwrap_err();
    assert!(
        matches!(error, CredentialError::LastAdmin { .. }),
        "{error}"
    );
    credentials
        .add(new("second", Kind::ApiKey, Role::Admin))
        .await
        .unwrap();
    credentials.remove("admin").await.unwrap();
    let error = credentials.remove("admin").await.unwrap_err();
    assert!(matches!(error, CredentialError::Missing { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_recognised_by_its_secret_also_after_a_restart() {
    let (world, credentials, password) = with_admin().await;
    let key = credentials
        .add(new("robot", Kind::ApiKey, Role::Operator))
        .await
        .unwrap();
    let cloud = credentials
        .add(new("cloud", Kind::AccessKey, Role::Viewer))
        .await
        .unwrap();
    // It belongs to the engine that ends.
    drop(credentials);
    let world = world.restart().await;
    let credentials = world.engine.credentials();
    let admin = credentials
        .password("admin", password.expose(), HERE)
        .await
        .unwrap();
    assert_eq!((admin.name.as_str(), admin.role), ("admin", Role::Admin));
    let robot = credentials
        .api_key(&key.credential.key_id, key.secret.expose(), HERE)
        .unwrap();
    assert_eq!((robot.name.as_str(), robot.role), ("robot", Role::Operator));
    let found = credentials
        .access_key(&cloud.credential.key_id, HERE, |secret| {
            secret == cloud.secret.expose()
        })
        .unwrap();
    assert_eq!(found.name, "cloud");
    // No secret proves anybody else's credential.
    let wrong = credentials
        .password("admin", key.secret.expose(), HERE)
        .await;
    assert!(matches!(wrong, Err(Refused::Wrong)));
    let wrong = credentials
        .password("robot", key.secret.expose(), HERE)
        .await;
    assert!(matches!(wrong, Err(Refused::Wrong)));
    let wrong = credentials.api_key(&cloud.credential.key_id, cloud.secret.expose(), HERE);
    assert!(matches!(wrong, Err(Refused::Wrong)));
    let wrong = credentials.access_key(&cloud.credential.key_id, HERE, |_| false);
    assert!(matches!(wrong, Err(Refused::Wrong)));
}

#[tokio::test(flavor = "multi_thread")]
async fn rotating_voids_the_old_secret_and_all_tokens() {
    let (_world, credentials, old) = with_admin().await;
    let admin = credentials
        .password("admin", old.expose(), HERE)
        .await
        .unwrap();
    let token = credentials
        .issue_token(&admin, None, Duration::from_secs(86_400))
        .await
        .unwrap();
    assert_eq!(
        credentials.token(token.secret.expose(), HERE).unwrap().name,
        "admin"
    );
    let chosen = Secret::new("correct horse");
    credentials.rotate("admin", Some(chosen)).await.unwrap();
    assert!(
        credentials
            .password("admin", old.expose(), HERE)
            .await
            .is_err()
    );
    assert!(credentials.token(token.secret.expose(), HERE).is_err());
    credentials
        .password("admin", "correct horse", HERE)
        .await
        .unwrap();
    let short = credentials
        .rotate("admin", Some(Secret::new("short")))
        .await;
    assert!(matches!(
        short,
        Err(CredentialError::InvalidPassword { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_after_its_time_and_keeps_to_its_project() {
    let folder = tempfile::tempdir().unwrap();
    let now_ms = Arc::new(AtomicI64::new(1_000_000));
    let clock = Arc::clone(&now_ms);
    let store = Store::open(&folder.path().join("store"), &StoreOptions::default()).unwrap();
    let config = EngineConfig {
        clock: Clock::from_fn(move || clock.load(Ordering::SeqCst)),
        ..config(&folder)
    };
    let engine = Engine::start(config, Arc::new(StoreDriver::new(store)))
        .await
        .unwrap();
    let credentials = engine.credentials();
    credentials
        .add(new("admin", Kind::Password, Role::Admin))
        .await
        .unwrap();
    let limited = NewCredential {
        limits: Limits {
            projects: Some(vec!["p1".into(), "p2".into()]),
            ..Limits::default()
        },
        ..new("cloud", Kind::Password, Role::Operator)
    };
    let issued = credentials.add(limited).await.unwrap();
    let cloud = credentials
        .password("cloud", issued.secret.expose(), HERE)
        .await
        .unwrap();
    let day = Duration::from_secs(86_400);
    let own = credentials
        .issue_token(&cloud, Some("p1"), day)
        .await
        .unwrap();
    let foreign = credentials
        .issue_token(&cloud, Some("p3"), day)
        .await
        .unwrap();
    assert_eq!(own.expires_ms, 1_000_000 + 86_400_000);
    let covers = |secret: &Secret, project: &str| {
        let principal = credentials.token(secret.expose(), HERE).unwrap();
        principal.limits.covers_project(project)
    };
    assert!(covers(&own.secret, "p1"));
    assert!(!covers(&own.secret, "p2"));
    assert!(!covers(&foreign.secret, "p3"));
    now_ms.store(own.expires_ms - 1, Ordering::SeqCst);
    assert!(credentials.token(own.secret.expose(), HERE).is_ok());
    now_ms.store(own.expires_ms, Ordering::SeqCst);
    assert!(credentials.token(own.secret.expose(), HERE).is_err());
    engine.shutdown(Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_stopped_but_not_whoever_was_recognised() {
    let (_world, credentials, password) = with_admin().await;
    credentials
        .password("admin", password.expose(), HERE)
        .await
        .unwrap();
    for guess in 0..10 {
        let wrong = credentials
            .password("admin", &format!("guess {guess}"), HERE)
            .await;
        assert!(matches!(wrong, Err(Refused::Wrong)), "guess {guess}");
    }
    let stopped = credentials.password("admin", "another guess", HERE).await;
    assert!(
        matches!(stopped, Err(Refused::TooManyAttempts { retry_after }) if !retry_after.is_zero())
    );
    credentials
        .password("admin", password.expose(), HERE)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_limits_are_checked() {
    let (_world, credentials, _) = with_admin().await;
    for name in ["", "-a", "a b", "a:b", "a/b", "ä", &"x".repeat(129)] {
        let refused = credentials
            .add(new(name, Kind::Password, Role::Viewer))
            .await;
        assert!(
            matches!(refused, Err(CredentialError::InvalidName { .. })),
            "{name}"
        );
    }
    let taken = credentials
        .add(new("admin", Kind::ApiKey, Role::Viewer))
        .await;
    assert!(matches!(taken, Err(CredentialError::Exists { .. })));
    let empty = NewCredential {
        limits: Limits {
            resources: Some(vec![String::new()]),
            ..Limits::default()
        },
        ..new("a", Kind::ApiKey, Role::Viewer)
    };
    let refused = credentials.add(empty).await;
    assert!(matches!(refused, Err(CredentialError::InvalidLimit { .. })));
    let with_password = NewCredential {
        password: Some(Secret::new("correct horse")),
        ..new("a", Kind::ApiKey, Role::Viewer)
    };
    let refused = credentials.add(with_password).await;
    assert!(matches!(refused, Err(CredentialError::PasswordNotTaken)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_the_data_folder_gives_a_secret_away() {
    let (world, credentials, password) = with_admin().await;
    let mut secrets = vec![password];
    for kind in [Kind::ApiKey, Kind::AccessKey] {
        let issued = credentials
            .add(new(kind.as_str(), kind, Role::Viewer))
            .await
            .unwrap();
        secrets.push(issued.secret);
    }
    let principal = credentials.list()[0].principal();
    let day = Duration::from_secs(86_400);
    secrets.push(
        credentials
            .issue_token(&principal, None, day)
            .await
            .unwrap()
            .secret,
    );
    world.engine.shutdown(Duration::from_secs(30)).await;
    for entry in std::fs::read_dir(world.folder.path().join("data")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_file() {
            std::fs::read(&path).unwrap()
        } else {
            continue;
        };
        for secret in &secrets {
            let needle = secret.expose().as_bytes();
            let is_there = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!is_there, "{} holds a secret", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_noted_is_found_again_the_newest_first_also_after_a_restart() {
    let world = world().await;
    let record = |at_ms: i64, principal: &str| AuditRecord {
        at_ms,
        time: String::new(),
        principal: principal.into(),
        role: Some(Role::Admin),
        method: "basic".into(),
        address: None,
        action: "x".into(),
        request: "PUT /x".into(),
        repository: None,
        resources: vec!["a".into()],
        project: None,
        outcome: AuditOutcome::Done,
        status: 200,
    };
    for at_ms in 1..=5 {
        world
            .engine
            .note_audit(record(at_ms, if at_ms % 2 == 0 { "bob" } else { "alice" }));
    }
    let world = world.restart().await;
    world.engine.note_audit(record(6, "bob"));
    let times = async |query: AuditQuery| -> Vec<i64> {
        let found = world.engine.audit(&query).await.unwrap();
        found.into_iter().map(|record| record.at_ms).collect()
    };
    let all = AuditQuery {
        limit: 100,
        ..AuditQuery::default()
    };
    assert_eq!(times(all.clone()).await, [6, 5, 4, 3, 2, 1]);
    let of_bob = AuditQuery {
        principal: Some("bob".into()),
        since_ms: 3,
        limit: 100,
    };
    assert_eq!(times(of_bob).await, [6, 4]);
    assert_eq!(times(AuditQuery { limit: 2, ..all }).await, [6, 5]);
    let file = std::fs::read_to_string(world.folder.path().join("data/audit.jsonl")).unwrap();
    assert_eq!(file.lines().count(), 6);
}
