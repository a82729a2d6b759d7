//! socketioxide with default options on axum, and the handlers that bench/README.md lists.
//! The runtime of tokio uses all processors.
use std::{collections::BTreeMap, convert::Infallible, env, error::Error};

use axum::{Router, routing::get, serve::ListenerExt};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef},
    handler::ConnectHandler,
    operators::BroadcastOperators,
};
use tokio::net::TcpListener;

/// The document of the event "json".
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    id: String,
    user_id: i64,
    created_at: String,
    paid: bool,
    total: f64,
    note: String,
    address: BTreeMap<String, String>,
    items: Option<Vec<Item>>,
    position: Vec<f64>,
}

#[derive(Deserialize, Serialize)]
struct Item {
    sku: String,
    name: String,
    qty: i32,
    price: f64,
    tags: Vec<String>,
}

/// Registers the handlers of a new socket. It is a middleware: the function for connected
/// sockets runs after the client is told, and may miss its first event. Nobody is told of
/// errors: the load generator notices what does not arrive.
async fn register(socket: SocketRef) -> Result<(), Infallible> {
    socket.on("echo", async |s: SocketRef, Data::<String>(text)| {
        s.emit("echo", &text).ok();
    });
    socket.on("echoAck", async |Data::<String>(text), ack: AckSender| {
        ack.send(&text).ok();
    });
    socket.on("bin", async |s: SocketRef, Data::<Bytes>(data)| {
        s.emit("bin", &data).ok();
    });
    socket.on("json", async |s: SocketRef, Data::<Order>(order)| {
        s.emit("json", &order).ok();
    });
    socket.on(
        "join",
        async |s: SocketRef, Data::<String>(room), ack: AckSender| {
            s.join(room);
            ack.send::<[(); 0]>(&[]).ok(); // no arguments
        },
    );
    socket.on(
        "bcast",
        async |io: SocketIo, Data::<(u32, usize)>((n, size))| {
            burst(n, size, || io.broadcast()).await;
        },
    );
    socket.on(
        "room",
        async |io: SocketIo, Data::<(String, u32, usize)>((room, n, size))| {
            burst(n, size, || io.to(room.clone())).await;
        },
    );
    Ok(())
}

async fn burst(n: u32, size: usize, to: impl Fn() -> BroadcastOperators) {
    let pad = "x".repeat(size);
    for i in 0..n {
        to().emit("b", &(i, &pad)).await.ok();
    }
}

/// There is no garbage: what the allocator keeps goes back to the system.
async fn gc() -> &'static str {
    // SAFETY: malloc_trim may be called at any time.
    unsafe { libc::malloc_trim(0) };
    "{}"
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::args().next_back().unwrap_or_default().parse()?;
    let (layer, io) = SocketIo::new_layer();
    io.ns("/", (async || {}).with(register));
    let app = Router::new()
        .route("/bench/gc", get(gc))
        .route("/bench/collections", get(async || "0"))
        .layer(layer);
    // The other servers write without delay by default.
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await?
        .tap_io(|connection| {
            connection.set_nodelay(true).ok();
        });
    Ok(axum::serve(listener, app).await?)
}
