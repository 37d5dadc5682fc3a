//! Lambda's runtime API, for one process at a time: it gives out events, and takes the answers.
//!
//! Source: Lambda developer guide, "Using the Lambda runtime API for custom runtimes".

use std::io;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};

/// What a process did.
#[derive(Debug)]
pub enum Did {
    /// It asked for its first event: it is initialized.
    Initialized(Instant),
    /// It answered, or told an error.
    Answered(Instant, Value),
}

/// The API, on a port of its own.
#[derive(Debug)]
pub struct RuntimeApi {
    /// What the process finds as `AWS_LAMBDA_RUNTIME_API`.
    pub address: String,
    events: mpsc::UnboundedSender<Value>,
    did: mpsc::UnboundedReceiver<Did>,
}

/// What the connections share.
struct Shared {
    events: Mutex<mpsc::UnboundedReceiver<Value>>,
    did: mpsc::UnboundedSender<Did>,
    first: std::sync::atomic::AtomicBool,
}

impl RuntimeApi {
    /// Listens.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (events, given) = mpsc::unbounded_channel();
        let (told, did) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            events: Mutex::new(given),
            did: told,
            first: true.into(),
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                // It ends with the process.
                tokio::spawn(async move { serve(stream, &shared).await });
            }
        });
        Ok(Self { address, events, did })
    }

    /// Gives the process an event, as soon as it asks for one.
    pub fn give(&self, event: Value) {
        // Nobody is there any more: then nobody answers either.
        let _ = self.events.send(event);
    }

    /// What the process does next.
    pub async fn did(&mut self) -> Option<Did> {
        self.did.recv().await
    }
}

/// Answers the requests of a connection, one after the other.
#[allow(clippy::disallowed_methods, reason = "a benchmark takes the time")]
async fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some((line, body)) = request(&mut stream).await? {
        let now = Instant::now();
        let path = line.split(' ').nth(1).unwrap_or_default();
        if path.ends_with("/invocation/next") {
            if shared.first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                let _ = shared.did.send(Did::Initialized(now));
            }
            let Some(event) = shared.events.lock().await.recv().await else {
                return Ok(());
            };
            let event = event.to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nlambda-runtime-aws-request-id: 1\r\n\
                 lambda-runtime-deadline-ms: 9999999999999\r\nlambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:1:function:f\r\n\
                 content-length: {}\r\n\r\n",
                event.len()
            );
            stream.write_all((head + &event).as_bytes()).await?;
        } else {
            let answer = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let _ = shared.did.send(Did::Answered(now, answer));
            stream
                .write_all(b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
                .await?;
        }
        stream.flush().await?;
    }
    Ok(())
}

/// The first line and the body of a request; none at the connection's end.
async fn request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut first = String::new();
    if stream.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim().to_ascii_lowercase();
        match line.split_once(':').map(|(name, value)| (name, value.trim())) {
            Some(("content-length", value)) => length = value.parse().unwrap_or(0),
            Some(("transfer-encoding", "chunked")) => is_chunked = true,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = Vec::new();
    if !is_chunked {
        body.resize(length, 0);
        stream.read_exact(&mut body).await?;
        return Ok(Some((first, body)));
    }
    loop {
        let mut size = String::new();
        stream.read_line(&mut size).await?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).await?;
        if size == 0 {
            return Ok(Some((first, body)));
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
