package interop;

import io.socket.client.IO;
import io.socket.client.Socket;
import java.net.URI;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.Consumer;

/** The clients of one test. */
final class Clients implements AutoCloseable {
  private static final String URL = System.getenv("INTEROP_URL");

  /** How the clients connect: "polling", "websocket" or "upgrade". */
  static final String MODE = System.getenv("INTEROP_MODE");

  private final Deque<Socket> open = new ArrayDeque<>();

  /** Returns a client of a namespace, on a connection of its own, and waits until it is connected. */
  Client connect(String namespace) throws Exception {
    return connect(namespace, options -> {});
  }

  /** Like connect, with other options. */
  Client connect(String namespace, Consumer<IO.Options> change) throws Exception {
    Client client = open(namespace, change);
    Client.Events connected = client.listen(Socket.EVENT_CONNECT);
    client.socket.connect();
    connected.next();
    return client;
  }

  /** Returns a client of a namespace that is not connected yet. */
  Client open(String namespace, Consumer<IO.Options> change) {
    IO.Options options = new IO.Options();
    options.forceNew = true;
    options.reconnection = false;
    options.transports = transports();
    change.accept(options);
    return track(IO.socket(URI.create(URL + namespace), options));
  }

  /** Returns a client of another namespace on the same connection, not connected yet. */
  Client openBeside(Client client, String namespace) {
    return track(client.socket.io().socket(namespace));
  }

  private Client track(Socket socket) {
    open.add(socket);
    return new Client(socket);
  }

  private static String[] transports() {
    return MODE.equals("upgrade") ? new String[] {"polling", "websocket"} : new String[] {MODE};
  }

  @Override
  public void close() {
    open.forEach(Socket::disconnect);
  }
}
