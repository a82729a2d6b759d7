package interop;

import static interop.Check.same;

import io.socket.client.IO;
import io.socket.client.Socket;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.json.JSONArray;
import org.json.JSONObject;

/**
 * The tests of the official Java client. The Go test gives the address of its server, and the way
 * to connect, in the environment.
 */
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    Tests tests = new Tests();
    connections(tests);
    values(tests);
    Binary.all(tests);
    acks(tests);
    order(tests);
    endings(tests);
    System.exit(0); // the client's threads would go on
  }

  private static void connections(Tests tests) {
    tests.run("the client knows its id, and the server how it is connected", clients -> {
      Client client = clients.connect("/");
      same(client.socket.id(), client.ask("id")[0]);
      if (Clients.MODE.equals("upgrade")) {
        client.upgraded();
      } else {
        same(Clients.MODE, client.ask("transport")[0]);
      }
    });
    tests.run("extra headers arrive", clients -> {
      Client client = clients.connect("/", o -> o.extraHeaders = Map.of("Authorization", List.of("Bearer ada")));
      same("ada", ((JSONObject) client.ask("whoami")[0]).getString("user"));
    });
    tests.run("a namespace with an auth payload", clients -> {
      Client client = clients.connect("/chat", o -> o.auth = Map.of("name", "Ada"));
      same("Ada", client.ask("name")[0]);
    });
    tests.run("two namespaces on one connection", clients -> {
      Client root = clients.connect("/");
      Client chat = clients.openBeside(root, "/chat");
      Client.Events welcome = chat.listen("welcome");
      chat.socket.connect();
      same("/chat", welcome.next()[0]);
      same(6, root.ask("double", 3)[0]);
    });
    tests.run("a refusal carries message and data", clients -> {
      Client client = clients.open("/members", o -> o.auth = Map.of("token", "stolen"));
      Client.Events refused = client.listen(Socket.EVENT_CONNECT_ERROR);
      client.socket.connect();
      JSONObject error = (JSONObject) refused.next()[0];
      same("not authorized", error.getString("message"));
      same("E001", error.getJSONObject("data").getString("code"));
    });
  }

  private static void values(Tests tests) {
    tests.run("text both ways", clients -> {
      Client client = clients.connect("/");
      Client.Events echo = client.listen("echo");
      for (String text : List.of(
          "hello", "", "Žluťoučký kůň, 日本語, עברית", "👩‍🚀 🏳️‍🌈", "\u0000 \u001e 42[\"a\"] b4 1-2,3", "x".repeat(70_000))) {
        client.socket.emit("echo", text);
        same(text, echo.next()[0]);
      }
    });
    tests.run("JSON both ways", clients -> {
      Client client = clients.connect("/");
      Client.Events echo = client.listen("echo");
      JSONObject value = new JSONObject()
          .put("numbers", new JSONArray(List.of(0, -1, 1.5)))
          .put("constants", new JSONArray().put(true).put(false).put(JSONObject.NULL))
          .put("", new JSONObject().put("nested", new JSONArray()));
      client.socket.emit("echo", value);
      JSONObject back = (JSONObject) echo.next()[0];
      same(Set.of("numbers", "constants", ""), Set.of(JSONObject.getNames(back)));
      for (String name : JSONObject.getNames(value)) {
        same(value.get(name).toString(), back.get(name).toString());
      }
    });
    tests.run("several arguments in their places, and none", clients -> {
      Client client = clients.connect("/");
      Client.Events swap = client.listen("swap");
      Client.Events none = client.listen("no argument");
      client.socket.emit("swap", "left", 7);
      Object[] swapped = swap.next();
      same(7, swapped[0]);
      same("left", swapped[1]);
      client.socket.emit("no argument");
      same(0, none.next().length);
    });
  }

  private static void acks(Tests tests) {
    tests.run("the server acknowledges", clients -> {
      Client client = clients.connect("/");
      same(42, client.ask("double", 21)[0]);
      same(0, client.ask("answer nothing").length);
      Object[] three = client.ask("answer with three");
      same(1, three[0]);
      same("two", three[1]);
      same("three", new String((byte[]) three[2]));
      same("once", client.ask("answer twice")[0]);
    });
    tests.run("the client acknowledges", clients -> {
      Client client = clients.connect("/");
      client.answer("question", n -> (int) n * (int) n);
      same(144, client.ask("ask me", 12)[0]);
      JSONArray squares = (JSONArray) client.ask("ask me often", 20)[0];
      for (int n = 0; n < 20; n++) {
        same(n * n, squares.get(n));
      }
    });
  }

  private static void order(Tests tests) {
    tests.run("events keep their order both ways, also while the client upgrades", clients -> {
      Client client = clients.connect("/order/text");
      Client.Events down = client.listen("down");
      for (int n = 0; n < 300; n++) {
        client.socket.emit("up", n);
      }
      JSONArray up = (JSONArray) client.ask("received")[0];
      same(300, up.length());
      for (int n = 0; n < 300; n++) {
        same(n, up.get(n));
      }
      client.socket.emit("release");
      int last = (int) down.next()[0]; // the first ones may have come before the listener
      while (last < 999) {
        same(++last, down.next()[0]);
      }
    });
  }

  private static void endings(Tests tests) {
    tests.run("the client leaves", clients -> {
      Client client = clients.connect("/");
      String id = client.socket.id();
      client.socket.disconnect();
      same("client namespace disconnect", Control.noted("leaving of " + id));
    });
    tests.run("the server disconnects the client", clients -> {
      Client client = clients.connect("/");
      Client.Events gone = client.listen(Socket.EVENT_DISCONNECT);
      String id = client.socket.id();
      client.socket.emit("close my connection");
      same("io server disconnect", gone.next()[0]);
      same("server namespace disconnect", Control.noted("leaving of " + id));
    });
    tests.run("the client comes back after its connection broke", clients -> {
      Client client = clients.connect("/", Main::reconnecting);
      Client.Events gone = client.listen(Socket.EVENT_DISCONNECT);
      Client.Events back = client.listen(Socket.EVENT_CONNECT);
      String id = client.socket.id();
      Control.cut();
      gone.next();
      back.next();
      renewed(client, id);
    });
    if (!Clients.MODE.equals("polling")) {
      return; // when a server closes a WebSocket, this client notices by the heartbeat alone
    }
    tests.run("the client comes back after the server has restarted", clients -> {
      Client client = clients.connect("/", Main::reconnecting);
      Client.Events gone = client.listen(Socket.EVENT_DISCONNECT);
      Client.Events back = client.listen(Socket.EVENT_CONNECT);
      String id = client.socket.id();
      Control.stop();
      gone.next();
      same("server shutting down", Control.noted("leaving of " + id));
      Control.start();
      back.next();
      renewed(client, id);
    });
  }

  private static void reconnecting(IO.Options options) {
    options.reconnection = true;
    options.reconnectionDelay = 20;
    options.reconnectionDelayMax = 50;
  }

  private static void renewed(Client client, String id) throws Exception {
    Check.isTrue(!id.equals(client.socket.id()), "a new connection has a new id");
    same(42, client.ask("double", 21)[0]);
    byte[] bytes = {1, 2, 3};
    Check.bytes(bytes, ((JSONObject) client.ask("mirror", bytes)[0]).get("mirrored"));
  }
}
