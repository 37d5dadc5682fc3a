//! A subscriber of SNS over HTTP: a server on loopback that confirms what it is subscribed to, and keeps what it gets.

use std::{
    collections::VecDeque,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::Method;
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    Account, Error,
    http::{Content, Http},
    wait,
};

/// How long [`Subscriber::subscribe`] waits for the request to confirm.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(10);

/// A notification, as SNS writes it to HTTP endpoints and into queues.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Notification {
    /// The id that Publish has answered.
    pub message_id: String,
    /// The topic.
    pub topic_arn: String,
    /// The subject, if it has one.
    pub subject: Option<String>,
    /// The text for this protocol, or the default.
    pub message: String,
}

/// A notification that came to a [`Subscriber`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What came.
    pub notification: Notification,
    /// The status that it was answered with. SNS delivers again after 429, 5xx and no answer.
    pub status: u16,
}

/// A server on loopback. Use it in the runtime that started it; it ends when it is dropped.
#[derive(Debug)]
pub struct Subscriber {
    endpoint: String,
    seen: Arc<Mutex<Seen>>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    confirmed: Vec<String>,
    deliveries: Vec<Delivery>,
    // What came and was no message of SNS, or could not be confirmed.
    faults: Vec<String>,
    statuses: VecDeque<u16>,
}

impl Subscriber {
    /// Starts to listen on a free port.
    pub async fn listen() -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = bound.map_err(|error| Error::Unreachable {
            call: "listening on 127.0.0.1".to_owned(),
            reason: error.to_string(),
        })?;
        let seen = Arc::<Mutex<Seen>>::default();
        let server = tokio::spawn(serve(listener, Arc::clone(&seen)));
        Ok(Self {
            endpoint: format!("http://{address}/"),
            seen,
            server,
        })
    }

    /// The URL to subscribe, for example as a parameter of a stack.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Subscribes it to a topic, and returns when that is confirmed.
    pub async fn subscribe(&self, account: &Account, topic: &str) -> Result<(), Error> {
        account.subscribe(topic, "http", &self.endpoint).await?;
        self.confirmed(topic).await
    }

    /// Waits until its subscription to a topic is confirmed: one that a stack has made.
    pub async fn confirmed(&self, topic: &str) -> Result<(), Error> {
        let what = format!("the subscription to {topic} to be confirmed");
        wait::until(&what, CONFIRMED_WITHIN, async || {
            let seen = lock(&self.seen);
            if seen.confirmed.iter().any(|confirmed| confirmed == topic) {
                Ok(())
            } else {
                Err(format!("confirmed: {:?}, faults: {:?}", seen.confirmed, seen.faults))
            }
        })
        .await
    }

    /// Answers as many of the next notifications with this status, and those after with 200 again.
    pub fn answer_next(&self, times: usize, status: u16) {
        lock(&self.seen).statuses.extend(std::iter::repeat_n(status, times));
    }

    /// Everything that came so far, in order: also what was not answered with 200.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.seen).deliveries.clone()
    }

    /// The notifications that it has taken, in the order in which they came.
    #[must_use]
    pub fn notifications(&self) -> Vec<Notification> {
        let taken = |delivery: Delivery| (200..300).contains(&delivery.status).then_some(delivery.notification);
        self.deliveries().into_iter().filter_map(taken).collect()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, seen: Arc<Mutex<Seen>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(handle(stream, Arc::clone(&seen)));
    }
}

/// One request on a connection of its own, as the local cloud makes them.
async fn handle(mut stream: TcpStream, seen: Arc<Mutex<Seen>>) {
    let status = match request(&mut stream).await {
        Ok((kind, body)) => act(&kind, &body, &seen).await,
        Err(fault) => Err(fault),
    };
    let status = status.unwrap_or_else(|fault| {
        lock(&seen).faults.push(fault);
        400
    });
    let answer = format!("HTTP/1.1 {status} \r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    // Who does not wait for an answer gets none.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Does what a message of SNS asks for; the status of the answer, or what is wrong with the message.
async fn act(kind: &str, body: &[u8], seen: &Mutex<Seen>) -> Result<u16, String> {
    if kind == "SubscriptionConfirmation" {
        let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let (topic, url) = (text(&body, "TopicArn")?, text(&body, "SubscribeURL")?);
        let (server, path) = url.split_at(url.find("/?").ok_or("a SubscribeURL without a query")?);
        let http = Http::new(server.to_owned());
        let reply = http.call(Method::GET, path, None, Content::None).await?;
        if reply.status != 200 {
            return Err(format!("{url}: {}", reply.json()));
        }
        lock(seen).confirmed.push(topic.to_owned());
        return Ok(200);
    }
    let notification = serde_json::from_slice(body).map_err(|error| format!("{kind}: {error}"))?;
    let mut seen = lock(seen);
    let status = seen.statuses.pop_front().unwrap_or(200);
    seen.deliveries.push(Delivery { notification, status });
    Ok(status)
}

fn text<'a>(body: &'a Value, name: &str) -> Result<&'a str, String> {
    body[name].as_str().ok_or_else(|| format!("no {name}: {body}"))
}

/// Reads a request: the type of its message, and its body.
async fn request(stream: &mut TcpStream) -> Result<(String, Vec<u8>), String> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let length: usize = header(&head, "content-length").parse().unwrap_or(0);
            if read.len() >= end + 4 + length {
                let kind = header(&head, "x-amz-sns-message-type").to_owned();
                return Ok((kind, read[end + 4..end + 4 + length].to_vec()));
            }
        }
        let mut chunk = [0; 8192];
        match stream.read(&mut chunk).await {
            Ok(0) => return Err(format!("half a request: {}", String::from_utf8_lossy(&read))),
            Ok(count) => read.extend_from_slice(&chunk[..count]),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// A header's value; empty if it is not there.
fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let mut headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    headers
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn post(endpoint: &str, kind: &str, body: &str) -> String {
        let address = endpoint.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nX-Amz-Sns-Message-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap_or_default().trim().to_owned()
    }

    #[tokio::test]
    async fn it_answers_as_it_is_told_and_keeps_what_came() {
        let subscriber = Subscriber::listen().await.unwrap();
        subscriber.answer_next(1, 503);
        let body = r#"{"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Subject": "s", "Message": "é"}"#;
        for status in ["503", "200"] {
            let answer = post(subscriber.endpoint(), "Notification", body).await;
            assert_eq!(answer, format!("HTTP/1.1 {status}"));
        }
        let statuses: Vec<_> = subscriber.deliveries().iter().map(|delivery| delivery.status).collect();
        assert_eq!(statuses, [503, 200]);
        let expected = Notification {
            message_id: "m".into(),
            topic_arn: "t".into(),
            subject: Some("s".into()),
            message: "é".into(),
        };
        assert_eq!(subscriber.notifications(), [expected]);
    }

    #[tokio::test]
    async fn what_is_no_message_of_sns_is_refused() {
        let subscriber = Subscriber::listen().await.unwrap();
        assert_eq!(post(subscriber.endpoint(), "Notification", "?").await, "HTTP/1.1 400");
        assert_eq!(
            post(subscriber.endpoint(), "SubscriptionConfirmation", "{}").await,
            "HTTP/1.1 400"
        );
        assert_eq!(subscriber.deliveries(), []);
    }
}
