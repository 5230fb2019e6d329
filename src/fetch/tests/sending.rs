//! Bodies that go slowly.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::hasty;
use crate::fetch::Ask;

/// A host that takes so many bytes every tenth of a second, and answers when it has all of them.
async fn slow_host(each: usize, whole: usize) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take(stream, each, whole));
        }
    });
    url
}

async fn take(mut stream: TcpStream, each: usize, whole: usize) {
    let mut buffer = vec![0; each];
    let mut taken = 0;
    while taken < whole {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut now = 0;
        while now < each && taken + now < whole {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => now += count,
            }
        }
        taken += now;
    }
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let _ = stream.write_all(answer).await;
    std::future::pending::<()>().await;
}

fn submit(body: &Bytes) -> Ask<'static> {
    Ask {
        method: Method::PUT,
        body: body.clone(),
        accept: &[200],
        max: 9,
        ..Ask::default()
    }
}

#[tokio::test]
async fn a_body_that_goes_takes_as_long_as_it_takes() {
    let body = Bytes::from(vec![7; 64 << 20]);
    let url = slow_host(3 << 20, body.len()).await;
    let began = Instant::now();
    let told = hasty(1000).document(&url, submit(&body)).await.unwrap();
    assert_eq!(&told.body[..], b"ok");
    assert!(began.elapsed() > Duration::from_millis(1500), "it was slow");
}

#[tokio::test]
async fn a_body_that_does_not_go_is_given_up() {
    let body = Bytes::from(vec![7; 64 << 20]);
    // What the connection holds is all that goes.
    let url = slow_host(0, 1).await;
    let began = Instant::now();
    let error = hasty(500).document(&url, submit(&body)).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}
