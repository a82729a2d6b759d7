package interop;

import io.socket.client.Ack;
import io.socket.client.Socket;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** A client whose events can be waited for. Nothing here sleeps. */
final class Client {
  /** How long to wait for something that should happen at once. */
  private static final long PATIENCE_SECONDS = 30;

  final Socket socket;

  Client(Socket socket) {
    this.socket = socket;
  }

  /** The events of one name that have come, and have not been asked for. */
  static final class Events {
    private final String name;
    private final BlockingQueue<Object[]> queue = new LinkedBlockingQueue<>();

    private Events(String name) {
      this.name = name;
    }

    /** Waits for the arguments of the next event. */
    Object[] next() throws InterruptedException, TimeoutException {
      Object[] arguments = queue.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
      if (arguments == null) {
        throw new TimeoutException("no \"" + name + "\" within " + PATIENCE_SECONDS + " s");
      }
      return arguments;
    }
  }

  /** Collects events from now on. */
  Events listen(String event) {
    Events events = new Events(event);
    socket.on(event, events.queue::add);
    return events;
  }

  /** Emits an event and returns the arguments of the acknowledgement. */
  Object[] ask(String event, Object... arguments) throws Exception {
    Events answer = new Events("acknowledgement of " + event);
    socket.emit(event, arguments, (Ack) answer.queue::add);
    return answer.next();
  }

  /** Answers an event of the server with what answer makes of its first argument. */
  void answer(String event, Answer answer) {
    socket.on(event, arguments -> ((Ack) arguments[arguments.length - 1]).call(answer.of(arguments[0])));
  }

  interface Answer {
    Object of(Object argument);
  }

  /** Waits until the server sees that the connection has moved on to WebSocket. */
  void upgraded() throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (!ask("transport")[0].equals("websocket")) {
      if (System.nanoTime() > end) {
        throw new TimeoutException("no upgrade within " + PATIENCE_SECONDS + " s");
      }
    }
  }
}
