//! The rows.

use super::Condition;
use super::examples::{Call, Example, Step, Who, bare, post};

const ARTICLE: Step = Step::Class("Article");
const PARAGRAPH: Step = Step::Class("Paragraph");
const HEAVY: Step = Step::Heavy("Heavy");
const SLOW_BACKUPS: Step = Step::Throttle {
    backup: 100_000,
    restore: 0,
};
const SLOW_RESTORES: Step = Step::Throttle {
    backup: 0,
    restore: 100_000,
};
const ONE: Step = Step::Send(post("filesystem", r#"{"id":"one","include":["Article"]}"#));
const ONE_DONE: Step = Step::Until("filesystem/one", "SUCCESS");
const HEAVY_ONE: Step = Step::Send(post("filesystem", r#"{"id":"one","include":["Heavy"]}"#));
const RESTORE_ONE: Call = post("filesystem/one/restore", "{}");
const LATER: Step = Step::Pause(2_100);
const NOTHING: &[Step] = &[];

const fn answer(
    before: &'static [Step],
    call: Call,
    values: &'static [(&'static str, &'static str)],
) -> Example {
    Example::Answer {
        before,
        call,
        values,
    }
}

macro_rules! rows {
    ($($name:ident: $about:literal, $status:literal, $text:literal, $differs:expr, $example:expr;)*) => {
        $(
            #[doc = $about]
            pub const $name: Condition = Condition {
                about: $about,
                status: $status,
                text: $text,
                differs: $differs,
                example: $example,
            };
        )*
        /// All rows, roughly in the order in which requests are checked.
        pub const TABLE: &[Condition] = &[$($name),*];
    };
}

rows! {
    UNKNOWN_BACKEND:
        "create, restore, list: unknown backend", 422,
        "no backup backend \"{backend}\": backup: {backend} not found, did you enable the right module?",
        None,
        answer(NOTHING, post("s3", r#"{"id":"x"}"#), &[("backend", "s3")]);
    UNKNOWN_PROVIDER:
        "create status, cancel, restore status: unknown backend", 422,
        "no backup provider \"{backend}\": backup: {backend} not found, did you enable the right module?",
        Some("500 for the restore status"),
        answer(NOTHING, bare("GET", "FILESYSTEM/x/restore"), &[("backend", "FILESYSTEM")]);
    INVALID_ID:
        "create and both cancels: an id with other characters, or none", 422,
        "invalid backup id: '{id}' allowed characters are lowercase, 0-9, _, -",
        Some("500 with a text about base backups for an empty id"),
        answer(NOTHING, post("filesystem", r#"{"id":"../x"}"#), &[("id", "../x")]);
    BASE_IS_ITSELF:
        "create: a backup is its own base", 422,
        "base backup cannot be the same as the new backup ID: {id}",
        Some("500"),
        answer(&[ARTICLE], post("filesystem", r#"{"id":"x","incremental_base_backup_id":"x"}"#), &[("id", "x")]);
    INVALID_BASE_ID:
        "create: a base id with other characters", 422,
        "base backup id: invalid backup id: '{id}' allowed characters are lowercase, 0-9, _, -",
        None,
        answer(&[ARTICLE], post("filesystem", r#"{"id":"x","incremental_base_backup_id":"BAD ID"}"#), &[("id", "BAD ID")]);
    INCLUDE_AND_EXCLUDE:
        "create, restore: both lists are given", 422,
        "malformed request: 'include' and 'exclude' cannot both contain values",
        None,
        answer(NOTHING, post("filesystem", r#"{"id":"x","include":["A"],"exclude":["B"]}"#), &[]);
    DUPLICATE_CLASS:
        "create, restore: a class twice in `include`", 422,
        "class list 'include' contains duplicate: {class}",
        None,
        answer(NOTHING, post("filesystem", r#"{"id":"x","include":["A","A"]}"#), &[("class", "A")]);
    NO_CLASSES:
        "create: the server has no classes", 422,
        "no available classes to backup, there's nothing to do here",
        None,
        answer(NOTHING, post("filesystem", r#"{"id":"x","include":["Article"]}"#), &[]);
    UNKNOWN_CLASS:
        "create: a class, or a pattern in `include`, that fits nothing (several: one a line)", 422,
        "class {class} doesn't exist",
        Some("a pattern that fits nothing is dropped, and an `include` left empty by that means every class"),
        answer(&[ARTICLE], post("filesystem", r#"{"id":"x","include":["Zz*","Article"]}"#), &[("class", "Zz*")]);
    ALL_EXCLUDED:
        "create: everything is excluded", 422,
        "empty class list: please choose from : [{classes}]",
        None,
        answer(&[ARTICLE, PARAGRAPH], post("filesystem", r#"{"id":"x","exclude":["*"]}"#), &[("classes", "Article Paragraph")]);
    FORBIDDEN:
        "the role or the limits of the credential do not allow it", 403,
        "rbac: authorization, forbidden action: user '{user}' has insufficient permissions to {verb} [[Domain: backups,Collection: {class}]]",
        None,
        answer(&[ARTICLE, Step::As(Who::Viewer)], post("filesystem", r#"{"id":"x","include":["Article"]}"#),
            &[("user", "custom-user"), ("verb", "create_backups"), ("class", "Article")]);
    NOTHING_PERMITTED:
        "create without `include`: none of the classes is within the limits of the credential", 403,
        "authorization, forbidden action: user '{user}' has insufficient permissions to C [backups/collections/{class}]",
        None,
        answer(&[ARTICLE, Step::As(Who::Elsewhere)], post("filesystem", r#"{"id":"x"}"#),
            &[("user", "custom-user"), ("class", "Article")]);
    UNKNOWN_USER:
        "create: a name in `includeUsers` that is no user's", 422,
        "user \"{user}\" in 'includeUsers' does not exist",
        None,
        answer(&[ARTICLE], post("filesystem", r#"{"id":"x","includeUsers":["nobody"]}"#), &[("user", "nobody")]);
    ID_TOO_LONG:
        "create: an id of more than 255 characters", 422,
        "check if backup \"{id}\" exists at \"{path}\": file name too long",
        None,
        answer(&[ARTICLE], post("filesystem", concat!(r#"{"id":""#,
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            r#""}"#)), &[
            ("id", concat!(
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")),
            ("path", concat!("{home}/",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))]);
    ID_TAKEN:
        "create: the id is taken, whether its backup runs, succeeded or failed (one that was cancelled may be used again)", 422,
        "backup \"{id}\" already exists at \"{path}\"",
        Some("the id of a cancelled backup stays taken: 422 with a text that is a formatting mistake"),
        answer(&[ARTICLE, ONE, ONE_DONE], post("filesystem", r#"{"id":"one"}"#), &[("id", "one"), ("path", "{home}/one")]);
    BASE_MISSING:
        "create: the base backup is not there", 422,
        "resolve base backup chain: could not fetch base backup: get object path could not find {path}/backup_config.json: stat {path}/backup_config.json: no such file or directory",
        None,
        answer(&[ARTICLE], post("filesystem", r#"{"id":"x","incremental_base_backup_id":"nobase"}"#), &[("path", "{home}/nobase")]);
    BASE_UNSUCCESSFUL:
        "create: the base backup did not succeed", 422,
        "resolve base backup chain: backup \"{id}\" has status \"{status}\", expected \"SUCCESS\"",
        None,
        answer(&[ARTICLE, HEAVY, SLOW_BACKUPS, HEAVY_ONE, Step::Send(bare("DELETE", "filesystem/one"))],
            post("filesystem", r#"{"id":"x","include":["Article"],"incremental_base_backup_id":"one"}"#),
            &[("id", "one"), ("status", "CANCELED")]);
    BASE_COMPRESSION:
        "create: the base backup was asked for with another compression", 422,
        "resolve base backup chain: backup \"{id}\" has compression type \"{has}\", expected \"{expected}\"",
        None,
        answer(&[ARTICLE, Step::Send(post("filesystem", r#"{"id":"one","config":{"CompressionLevel":"NoCompression"}}"#)), ONE_DONE],
            post("filesystem", r#"{"id":"x","incremental_base_backup_id":"one"}"#),
            &[("id", "one"), ("has", "none"), ("expected", "gzip")]);
    CREATE_RUNNING:
        "create: another backup is being created", 422,
        "backup {id} already in progress",
        None,
        answer(&[ARTICLE, HEAVY, SLOW_BACKUPS, HEAVY_ONE], post("filesystem", r#"{"id":"two","include":["Article"]}"#), &[("id", "one")]);
    PATH_OUTSIDE:
        "a `Path` of the file system backend that leads out of the allowed roots", 422,
        "path \"{path}\" is outside of the folders that backups may lie in: choose one below {roots}, or add it to repositories.roots",
        Some("writes wherever the path leads"),
        answer(&[ARTICLE], post("filesystem", r#"{"id":"x","config":{"Path":"/etc/../etc"}}"#), &[("path", "/etc/../etc"), ("roots", "{roots}")]);
    PATH_NOT_OFFERED:
        "a `Path` of a backend that is not a file system", 422,
        "config.Path is not offered by this server for backend \"{backend}\": configure a repository of its own for it",
        Some("the path becomes a part of the names of the objects"),
        Example::Never("all repositories of this version are file systems");
    NO_ACCESS:
        "create, purge: the repository of the backend cannot be written to", 422,
        "init uploader: failed to access-check {backend} backup module: {reason}",
        None,
        Example::Never("unless it is registered as read-only, or its folder is out of reach");
    LOCAL_BACKEND_OF_CLUSTER:
        "create: the file system backend with more than one node", 422,
        "local filesystem backend is not viable for backing up a node cluster, try s3 or gcs",
        None,
        Example::Never("there is one node");
    NODE_REFUSES:
        "create, restore: the node cannot begin now", 500,
        "node \"{node}\": cannot commit : {reason}",
        None,
        Example::Never("unless the server is shutting down or its limit on concurrent operations is reached");
    UNKNOWN_BACKUP:
        "restore: there is no such backup", 404,
        "backup id \"{id}\" does not exist: get object path could not find {path}/backup_config.json: stat {path}/backup_config.json: no such file or directory: metadata not found",
        Some("an id such as `..%2F..%2Fetc` leads out of the folder of the backups"),
        answer(&[ARTICLE], post("filesystem/..%2F..%2Fetc/restore", "{}"), &[("id", "../../etc"), ("path", "{home}/../../etc")]);
    UNKNOWN_STATUS:
        "create status: there is no such backup; restore status: it was never restored", 404,
        "coordinator cannot get status: metadata not found: \"\": get object path could not find {path}/{file}: stat {path}/{file}: no such file or directory store: {0001-01-01 00:00:00 +0000 UTC     }",
        None,
        answer(&[ARTICLE, ONE, ONE_DONE], bare("GET", "filesystem/one/restore"), &[("path", "{home}/one"), ("file", "restore_config.json")]);
    UNREADABLE_STATUS:
        "status: what describes the backup cannot be read", 500,
        "coordinator cannot get status: \"\": {reason}",
        Some("the list of all backups is 500 too"),
        Example::Never("unless the repository as a whole is out of reach");
    UNREADABLE_BACKUP:
        "restore: what describes the backup cannot be read", 422,
        "find backup {path}: {reason}",
        None,
        Example::Never("unless the repository as a whole is out of reach");
    WRONG_DESCRIPTOR:
        "restore: the backup says it has another id", 422,
        "wrong backup file: restore request asked for \"{id}\" but the descriptor at \"{path}/backup_config.json\" reports its ID as \"{other}\"",
        None,
        Example::Never("the id is part of the snapshot, whose name is a hash of its content");
    NEWER_VERSION:
        "restore: a newer version wrote the backup", 422,
        "unable to restore backup as it was produced by a higher version: {theirs} > {ours}",
        None,
        Example::Never("there is one version of the format so far");
    OLDER_VERSION:
        "restore: a version wrote the backup that is not read any more", 422,
        "backup was created by Weaviate older than v1.23, which stored shard files in a flat directory instead of one directory per shard, and can no longer be restored: restore it on a release that still supports it and create a new backup",
        None,
        Example::Never("there is one version of the format so far");
    NOT_RESTORABLE:
        "restore: the backup did not succeed, or still runs", 422,
        "invalid backup in scheduler {path} status: {status}",
        None,
        answer(&[HEAVY, SLOW_BACKUPS, HEAVY_ONE], RESTORE_ONE, &[("path", "{home}/one"), ("status", "STARTED")]);
    NOT_IN_BACKUP:
        "restore: a class, or a pattern in `include`, that the backup does not have", 422,
        "class {class} doesn't exist in the backup, but does have [{classes}]: ",
        Some("a pattern that fits nothing is dropped"),
        answer(&[ARTICLE, ONE, ONE_DONE], post("filesystem/one/restore", r#"{"include":["article"]}"#), &[("class", "article"), ("classes", "Article")]);
    NOTHING_LEFT:
        "restore: everything is excluded", 422,
        "nothing left to restore: please choose from : [{classes}]",
        None,
        answer(&[ARTICLE, ONE, ONE_DONE], post("filesystem/one/restore", r#"{"exclude":["Article"]}"#), &[("classes", "Article")]);
    UNKNOWN_NODE:
        "restore: `node_mapping` leads to a node that is not there", 422,
        "cannot resolve hostname for \"{node}\", nodes=map[{nodes}], nodeMapping=map[{mapping}]",
        Some("500, and the address of a pointer in the text"),
        answer(&[ARTICLE, ONE, ONE_DONE], post("filesystem/one/restore", r#"{"node_mapping":{"old":"ghost"}}"#),
            &[("node", "ghost"), ("nodes", "{node}"), ("mapping", "old:ghost")]);
    UNKNOWN_TENANT:
        "restore: a tenant in `config.tenants` that no class of the backup has", 422,
        "tenant {tenant} doesn't exist in the backup of [{classes}]",
        Some("has no such option"),
        answer(&[ARTICLE, ONE, ONE_DONE], post("filesystem/one/restore", r#"{"config":{"tenants":["nobody"]}}"#), &[("tenant", "nobody"), ("classes", "Article")]);
    RENAME_INVALID:
        "restore: a new name in `config.rename` that no class can have, or that two would get", 422,
        "rename {class}: {reason}",
        Some("has no such option"),
        answer(&[ARTICLE, ONE, ONE_DONE], post("filesystem/one/restore", r#"{"config":{"rename":{"Article":"a b"}}}"#),
            &[("class", "Article"), ("reason", "'A b' is not a valid class name")]);
    RESTORE_RUNNING:
        "restore: another restore runs", 422,
        "restoration {id} already in progress",
        Some("for two seconds after one was cancelled, too"),
        answer(&[HEAVY, HEAVY_ONE, ONE_DONE, Step::Drop("Heavy"), SLOW_RESTORES, Step::Send(RESTORE_ONE)], RESTORE_ONE, &[("id", "one")]);
    CLASS_EXISTS:
        "restore accepted, then FAILED: a class of that name is there", 0,
        "could not restore classes: [{classes}]",
        Some("the other classes of the request are restored all the same; ours are all or none"),
        Example::Reason {
            before: &[ARTICLE, ONE, ONE_DONE, Step::Send(RESTORE_ONE)],
            status: "filesystem/one/restore",
            outcome: "FAILED",
            values: &[("classes", "\"Article\": error when trying to restore class: class name Article already exists")],
        };
    RESTORE_FAILED:
        "restore accepted, then FAILED: a part of the backup cannot be read, or is not what was written", 0,
        "restore class {classes}: {reason}",
        Some("no checksums: only what decompression notices"),
        Example::Never("unless files of the repository were damaged");
    BACKUP_SUCCEEDED:
        "cancel: the backup has succeeded, and was asked for more than 2 seconds ago (sooner: 204, and it stays SUCCESS)", 422,
        "backup \"{id}\" already succeeded",
        None,
        answer(&[ARTICLE, ONE, ONE_DONE, LATER], bare("DELETE", "filesystem/one"), &[("id", "one")]);
    BACKUP_CANCELED:
        "cancel: 204; the backup is CANCELED with this reason", 0,
        "context canceled",
        Some("FAILED, CANCELED or SUCCESS, by chance, up to 10 seconds later"),
        Example::Reason {
            before: &[HEAVY, SLOW_BACKUPS, HEAVY_ONE, Step::Send(bare("DELETE", "filesystem/one"))],
            status: "filesystem/one",
            outcome: "CANCELED",
            values: &[],
        };
    NOTHING_TO_CANCEL:
        "cancel: unknown, failed or cancelled already", 204,
        "",
        None,
        answer(NOTHING, bare("DELETE", "filesystem/nope"), &[]);
    RESTORE_SUCCEEDED:
        "cancel of a restore: it has succeeded, and was asked for more than 2 seconds ago (sooner: 204, and it stays SUCCESS)", 422,
        "restore \"{id}\" already succeeded",
        None,
        answer(&[ARTICLE, ONE, ONE_DONE, Step::Drop("Article"), Step::Send(RESTORE_ONE), Step::Until("filesystem/one/restore", "SUCCESS"), LATER],
            bare("DELETE", "filesystem/one/restore"), &[("id", "one")]);
    RESTORE_FINALIZING:
        "cancel of a restore: it is making its result visible, and was asked for more than 2 seconds ago", 422,
        "restore \"{id}\" is applying schema changes and cannot be cancelled",
        None,
        Example::Never("except in the milliseconds in which it is so");
    RESTORE_CANCELED:
        "cancel of a restore: 204; it is CANCELED with this reason, and nothing of it is there", 0,
        "restore canceled by user",
        Some("a restore that had FAILED becomes CANCELED too, and its reason is lost"),
        Example::Reason {
            before: &[HEAVY, HEAVY_ONE, ONE_DONE, Step::Drop("Heavy"), SLOW_RESTORES, Step::Send(RESTORE_ONE), Step::Send(bare("DELETE", "filesystem/one/restore"))],
            status: "filesystem/one/restore",
            outcome: "CANCELED",
            values: &[],
        };
    NO_RESTORE_TO_CANCEL:
        "cancel of a restore: unknown, never started, failed or cancelled already", 204,
        "",
        None,
        answer(NOTHING, bare("DELETE", "filesystem/nope/restore"), &[]);
    PURGE_UNKNOWN:
        "purge: there is no such backup", 404,
        "backup \"{id}\" does not exist at \"{path}\"",
        Some("deletes no backups"),
        answer(NOTHING, bare("DELETE", "filesystem/nope/purge"), &[("id", "nope"), ("path", "{home}/nope")]);
    PURGE_REFUSED:
        "purge: the backup is being restored, or locked", 422,
        "backup \"{id}\" cannot be purged: {reason}",
        Some("deletes no backups"),
        Example::Never("unless a policy has locked it or a restore reads it");
    INTERRUPTED:
        "the server stopped while the backup ran: FAILED with this reason", 0,
        "the server stopped before it was done",
        Some("STARTED for ever, and the id cannot be used again"),
        Example::Never("tests/weaviate stops a server to see it");
}
