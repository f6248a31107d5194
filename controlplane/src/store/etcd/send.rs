//! Sends what a transaction of the file has touched to etcd.

use std::collections::BTreeSet;

use etcd_client::{Compare, CompareOp, DeleteOptions, TxnOp};
use redb::{ReadableTable as _, WriteTransaction};

use super::super::schema::{NOTES, RRSETS, VIEWS, ZONES};
use super::super::write::Stored as _;
use super::codec::{Codec, Row, to_etcd};
use super::replica::Replica;
use super::touched::{Kind, Touched};
use crate::canonical::split_name;
use crate::etcd::kv::{Commit, Kv, KvError, Span};
use crate::store::WriteError;

/// What became of a transaction.
#[derive(Debug)]
pub(in crate::store) enum Sent {
    /// It is committed in etcd; the file's has to follow.
    Committed,
    /// Another server was faster: it has to be decided again.
    Overtaken,
    /// It is not written, or nobody knows.
    Failed {
        /// What its writers are told.
        error: WriteError,
        /// True where etcd would take less.
        is_too_much: bool,
    },
}

/// What etcd is told.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The operations.
    pub(super) operations: Vec<TxnOp>,
    /// The keys that they are about.
    pub(super) keys: BTreeSet<Vec<u8>>,
}

/// What tells etcd what a transaction has touched.
pub(super) fn order(codec: &Codec, transaction: &WriteTransaction, touched: &Touched) -> Result<Order, WriteError> {
    let zones = transaction.open_table(ZONES).stored()?;
    let rrsets = transaction.open_table(RRSETS).stored()?;
    let notes = transaction.open_table(NOTES).stored()?;
    let views = transaction.open_table(VIEWS).stored()?;
    let value_of = |row: &Row| -> Result<Option<Vec<u8>>, WriteError> {
        let key = row.key.as_slice();
        let value = match row.kind {
            Kind::Zone => zones.get(key).stored()?.map(|value| value.value().to_vec()),
            Kind::Rrset => rrsets.get(key).stored()?.map(|value| value.value().to_vec()),
            Kind::Note => notes.get(key).stored()?.map(|value| value.value().to_vec()),
            Kind::View => match std::str::from_utf8(key) {
                Ok(name) => views.get(name).stored()?.map(|value| value.value().as_bytes().to_vec()),
                Err(_) => None,
            },
        };
        Ok(value)
    };
    let mut order = Order::default();
    // Zones of which nothing is left go at once, however much was in them.
    let mut cleared = Vec::new();
    for prefix in &touched.cleared {
        let end = super::super::schema::after(prefix);
        if rrsets.range(prefix.as_slice()..end.as_slice()).stored()?.next().is_none()
            && let Some((apex, _)) = split_name(prefix)
        {
            let span = Span::below(codec.rrsets_of(&apex));
            order.operations.push(TxnOp::delete(span.first, Some(DeleteOptions::new().with_range(span.end))));
            cleared.push(prefix.as_slice());
        }
    }
    for (kind, key) in &touched.rows {
        let row = Row { kind: *kind, key: key.clone() };
        let Some(key) = codec.key(&row) else { continue };
        match value_of(&row)?.and_then(|value| to_etcd(&row, &value)) {
            Some(value) => order.operations.push(TxnOp::put(key.clone(), value, None)),
            None if row.kind == Kind::Rrset && cleared.iter().any(|prefix| row.key.starts_with(prefix)) => {}
            None => order.operations.push(TxnOp::delete(key.clone(), None)),
        }
        order.keys.insert(key);
    }
    Ok(order)
}

impl Replica {
    /// Has etcd carry out what a transaction of the file has touched, which is not committed yet.
    pub(in crate::store) fn send(
        &mut self,
        transaction: &WriteTransaction,
        touched: &Touched,
    ) -> Result<Sent, WriteError> {
        if let Some(error) = self.why_not() {
            return Ok(Sent::Failed { error, is_too_much: false });
        }
        let Order { mut operations, mut keys } = order(&self.codec, transaction, touched)?;
        if operations.is_empty() {
            return Ok(Sent::Committed);
        }
        self.transactions += 1;
        let (head, writer) = (self.codec.head(), self.codec.writer(self.writer));
        let number = self.transactions.to_string();
        let signed = format!("{{\"server\":\"{:016x}\",\"transaction\":{number}}}", self.writer);
        operations.push(TxnOp::put(head.clone(), signed, None));
        operations.push(TxnOp::put(writer.clone(), number.clone(), None));
        keys.extend([head.clone(), writer.clone()]);
        let condition = Compare::mod_revision(head, CompareOp::Equal, self.head);
        let kv = &self.kv;
        let sent = self.runtime.block_on(async {
            match kv.commit(&[condition], operations).await {
                Ok(Commit::Conflict { is_doubtful: false }) => Ok(None),
                Ok(Commit::Done { revision, .. }) => Ok(Some(revision)),
                // An earlier try may have been carried out without an answer: what it signed tells.
                Ok(Commit::Conflict { is_doubtful: true }) => {
                    signed_at(kv, &writer, &number).await.map_err(|error| KvError::Unknown(error.to_string()))
                }
                Err(error @ KvError::Unknown(_)) => match signed_at(kv, &writer, &number).await {
                    Ok(Some(revision)) => Ok(Some(revision)),
                    _ => Err(error),
                },
                Err(error) => Err(error),
            }
        });
        match sent {
            Ok(Some(revision)) => {
                self.staged = Some((revision, keys));
                self.note_head(transaction)?;
                Ok(Sent::Committed)
            }
            Ok(None) => Ok(Sent::Overtaken),
            Err(KvError::Refused(words)) => {
                // The words of etcd and of gRPC for it.
                let is_too_much =
                    ["too large", "larger than max", "too many operations"].iter().any(|say| words.contains(say));
                let remedy = if is_too_much { "; write less at once, or raise etcd's --max-request-bytes" } else { "" };
                let error = WriteError::Etcd(format!("etcd refuses the write: {words}{remedy}"));
                Ok(Sent::Failed { error, is_too_much })
            }
            Err(error) => Ok(Sent::Failed { error: WriteError::Etcd(error.to_string()), is_too_much: false }),
        }
    }
}

/// The revision at which a server has signed a transaction; nothing where its last one was another.
async fn signed_at(kv: &Kv, writer: &[u8], number: &str) -> Result<Option<i64>, KvError> {
    let read = kv.read(&[Span::key(writer)]).await?;
    let found = read.spans.into_iter().flatten().next();
    Ok(found.filter(|entry| entry.value == number.as_bytes()).map(|entry| entry.modified))
}
