//! The operations of a history.

/// One operation. Small numbers pick documents, users, connections and deliveries. A number wraps around what exists, so
/// operations often meet the same document or connection.
#[derive(Clone, Debug)]
pub enum Op {
    Open {
        document: u8,
        user: u8,
        asked: u8,
    },
    WouldAdmit {
        document: u8,
        user: u8,
        asked: u8,
    },
    Close(u8),
    Change(u8),
    Info {
        document: u8,
        userdata: bool,
    },
    DropUsers {
        document: u8,
        users: u8,
    },
    DropAll(u8),
    DropConnection(u8),
    ForceSave {
        document: u8,
        userdata: bool,
    },
    PressSave(u8),
    SubmitForm(u8),
    Rename(u8),
    EditLimit(u8),
    LiveLimit(u8),
    DocumentLimit(u8),
    UserLimit(u8),
    NamedUsers {
        edit: u8,
        live: u8,
        days: u8,
    },
    MaxConnections(u8),
    Holders(u8),
    License,
    Usage,
    /// Milliseconds.
    Pass(u16),
    PassToDeadline,
    /// Minutes, hours, days.
    PassFar {
        unit: u8,
        count: u8,
    },
    Take,
    /// Takes a save, a closing or the message that a save was given up.
    TakeSave,
    /// Milliseconds.
    Extend {
        delivery: u8,
        millis: u16,
    },
    Ack {
        delivery: u8,
        url: bool,
    },
    Fail {
        delivery: u8,
        url: bool,
    },
    AckKept {
        delivery: u8,
        url: bool,
    },
    /// A worker panics while it holds the delivery.
    Die(u8),
    DeleteForgotten(u8),
    RetryForgotten(u8),
    /// The transport of a connection breaks.
    Lost(u8),
    Resume {
        token: u8,
        attempt: u8,
        how: u8,
    },
    Touch(u8),
    Fence {
        document: u8,
        users: u8,
        time: u8,
    },
    DropFor {
        document: u8,
        users: u8,
        time: u8,
    },
    DropConnectionFor {
        connection: u8,
        time: u8,
    },
    Unfence {
        document: u8,
        users: u8,
    },
    /// The next process goes on with everything.
    Restart {
        how: u8,
        limits: u8,
        small: u8,
    },
    /// A connection wants to edit, mostly a viewer.
    RequestEdit {
        connection: u8,
        how: u8,
    },
    /// An editor, a waiter or anybody gives back what it has.
    ReleaseEdit {
        connection: u8,
        how: u8,
    },
    /// The transport of a waiter breaks.
    LoseWaiter(u8),
    ResumeLost(u8),
    Version,
    Drain,
    Undrain,
    /// Milliseconds.
    ShutDown(u16),
    DropHandle,
}

impl Op {
    /// Turns any four bytes into an operation. Common operations come up more often.
    pub fn from_bytes([kind, a, b, c]: [u8; 4]) -> Op {
        let flag = c & 1 == 1;
        match kind % 192 {
            0..24 => Op::Open { document: a, user: b, asked: c },
            24..36 => Op::Close(a),
            36..48 => Op::Change(a),
            48..51 => Op::Info { document: a, userdata: flag },
            51..55 => Op::DropUsers { document: a, users: b },
            55..57 => Op::DropAll(a),
            57..59 => Op::DropConnection(a),
            59..61 => Op::ForceSave { document: a, userdata: flag },
            61..63 => Op::PressSave(a),
            63 => Op::SubmitForm(a),
            64 => Op::Rename(a),
            65 => Op::EditLimit(a),
            66 => Op::LiveLimit(a),
            67 => Op::DocumentLimit(a),
            68 => Op::UserLimit(a),
            69..71 => Op::NamedUsers { edit: a, live: b, days: c },
            71 => Op::MaxConnections(a),
            72..76 => Op::WouldAdmit { document: a, user: b, asked: c },
            76..78 => Op::Holders(a),
            78 => Op::License,
            79..81 => Op::Usage,
            81..87 => Op::Pass(u16::from_be_bytes([a % 64, b])),
            87 => Op::PassFar { unit: a, count: b },
            88..92 => Op::PassToDeadline,
            92..103 => Op::Take,
            103..106 => Op::TakeSave,
            106 => Op::Extend { delivery: a, millis: u16::from_be_bytes([b, c]) },
            107..116 => Op::Ack { delivery: a, url: flag },
            116 => Op::AckKept { delivery: a, url: flag },
            117..121 => Op::Fail { delivery: a, url: flag },
            121 => Op::Die(a),
            122 => Op::DeleteForgotten(a),
            123..125 => Op::RetryForgotten(a),
            // The end cannot be undone, so it must be rare.
            125 => match b {
                0..16 => Op::ShutDown(u16::from_be_bytes([a % 64, c])),
                16..20 => Op::DropHandle,
                20..32 => Op::Version,
                32..56 => Op::Drain,
                _ => Op::Undrain,
            },
            126..136 => Op::Lost(a),
            136..145 => Op::Resume { token: a, attempt: b, how: c },
            145..148 => Op::Touch(a),
            148..150 => Op::Fence { document: a, users: b, time: c },
            150 => Op::DropFor { document: a, users: b, time: c },
            151 => Op::DropConnectionFor { connection: a, time: c },
            152 => Op::Unfence { document: a, users: b },
            // Leases and the like need time.
            153 => Op::Restart { how: a, limits: b, small: c },
            154..156 => Op::Pass(u16::from_be_bytes([a % 16, b])),
            156..160 => Op::PassToDeadline,
            160..176 => Op::RequestEdit { connection: a, how: b },
            176..182 => Op::ReleaseEdit { connection: a, how: b },
            182 => Op::EditLimit(a),
            183 => Op::DocumentLimit(a),
            184 => Op::UserLimit(a),
            185..188 => Op::LoseWaiter(a),
            _ => Op::ResumeLost(a),
        }
    }
}
