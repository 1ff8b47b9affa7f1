//! A client's socket, as actix reads and writes it, with the limits of [`super::life`].

use std::{
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};
use vumi_front_kit::tls::{ClientSocket, TLS_BUFFER};

use super::{
    idle::Place,
    life::ClientConnection,
    per_address::CountedConnection,
    unread::{UnreadAnswer, UnreadAnswers},
};
use crate::tally::{ClientFault, Tally};

/// A client's socket.
pub(crate) struct ClientStream {
    socket: ClientSocket,
    connection: Arc<ClientConnection>,
    /// The client's address, for the bound on its unread answers.
    address: Option<IpAddr>,
    unread_answers: Arc<UnreadAnswers>,
    unread: Option<UnreadAnswer>,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    tally: Arc<Tally>,
    _place: Place,
    _counted: Option<CountedConnection>,
}

impl ClientStream {
    pub(crate) fn new(
        socket: ClientSocket,
        connection: Arc<ClientConnection>,
        unread_answers: Arc<UnreadAnswers>,
        tally: Arc<Tally>,
        place: Place,
        counted: Option<CountedConnection>,
    ) -> Self {
        let address = counted.as_ref().map(CountedConnection::prefix);
        Self {
            socket,
            connection,
            address,
            unread_answers,
            unread: None,
            read_timer: None,
            write_timer: None,
            tally,
            _place: place,
            _counted: counted,
        }
    }

    pub(crate) const fn connection(&self) -> &Arc<ClientConnection> {
        &self.connection
    }

    /// Whether nothing more is to be read; wakes the task when it is time to ask again.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let (deadline, fault) = self.connection.deadline();
            if deadline <= Instant::now() {
                if let Some(fault) = fault {
                    self.tally.count(fault);
                }
                return true;
            }
            // A timer that fires too early is set anew then: most deadlines move on before they are met.
            let timer = self.read_timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if timer.deadline() > deadline || timer.is_elapsed() {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return false;
            }
        }
    }

    /// The socket takes nothing: the answer waits for the client, as long as it may.
    fn poll_unread(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<io::Result<usize>> {
        match &self.unread {
            Some(unread) => unread.left(bytes),
            None => self.unread = Some(self.unread_answers.begin(&self.connection, self.address, bytes)),
        }
        let limit = self.connection.limits().unread_answer;
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        if timer.as_mut().poll(cx).is_ready() {
            self.tally.count(ClientFault::SlowReader);
            return Poll::Ready(Err(self.reset()));
        }
        if self.connection.is_aborted() {
            return Poll::Ready(Err(self.reset()));
        }
        Poll::Pending
    }

    /// Has the system forget, too, what it still holds for the client.
    fn reset(&mut self) -> io::Error {
        self.unread = None;
        let _closed_already = SockRef::from(self.socket.tcp()).set_linger(Some(Duration::ZERO));
        io::ErrorKind::TimedOut.into()
    }
}

impl AsyncRead for ClientStream {
    /// The end of the stream at a deadline: actix then ends the connection, after the answer under way.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.connection.task().register(cx.waker());
        if this.connection.is_aborted() {
            return Poll::Ready(Err(this.reset()));
        }
        if this.poll_deadline(cx) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.socket).poll_read(cx, buffer);
        match read {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => this.connection.received(),
            Poll::Pending if this.connection.gives_up_place() => return Poll::Ready(Ok(())),
            _ => {}
        }
        read
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.connection.task().register(cx.waker());
        match Pin::new(&mut this.socket).poll_write(cx, bytes) {
            Poll::Pending => this.poll_unread(cx, bytes.len()),
            written => written,
        }
    }

    /// actix calls this once the socket has taken everything; with TLS some of it may still be there.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.socket).poll_flush(cx) {
            Poll::Pending => this.poll_unread(cx, TLS_BUFFER).map(|written| written.map(drop)),
            flushed => {
                (this.unread, this.write_timer) = (None, None);
                flushed
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
