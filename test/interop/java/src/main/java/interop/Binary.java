package interop;

import static interop.Check.bytes;
import static interop.Check.same;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.json.JSONArray;
import org.json.JSONObject;

/** Tests of binary data. Over polling the client sends it as base64 in lines of 76 characters. */
final class Binary {
  /** Data up to this length is sent back to back, so that payloads of polling hold many packets. */
  private static final int SMALL = 250;

  private Binary() {}

  static void all(Tests tests) {
    tests.run("binary of all lengths to 250", clients -> {
      Client client = clients.connect("/");
      Client.Events echo = client.listen("echo");
      List<byte[]> sent = new ArrayList<>();
      for (int length = 0; length <= SMALL; length++) {
        sent.add(random(length));
        client.socket.emit("echo", (Object) sent.get(length));
      }
      for (byte[] data : sent) {
        bytes(data, echo.next()[0]);
      }
    });
    tests.run("binary of lengths to 70,000", clients -> {
      Client client = clients.connect("/");
      Client.Events echo = client.listen("echo");
      for (int length : new int[] {
          1_000, 1_023, 1_024, 1_025, 4_095, 4_096, 4_097, 16_383, 16_384, 16_385, 32_768,
          65_533, 65_534, 65_535, 65_536, 65_537, 69_998, 69_999, 70_000}) {
        byte[] data = random(length);
        client.socket.emit("echo", (Object) data);
        bytes(data, echo.next()[0]);
      }
    });
    tests.run("binary in objects, beside others and text", clients -> {
      Client client = clients.connect("/");
      Client.Events picture = client.listen("picture");
      Client.Events echo = client.listen("echo");
      byte[] image = random(300);
      byte[] thumbnail = random(77);
      client.socket.emit("picture", new JSONObject()
          .put("name", "cat.png")
          .put("image", image)
          .put("thumbnails", new JSONArray().put(thumbnail).put(new byte[0])));
      client.socket.emit("echo", "after it");

      JSONObject copy = (JSONObject) picture.next()[0];
      same("copy of cat.png", copy.getString("name"));
      bytes(image, copy.get("image"));
      bytes(thumbnail, copy.getJSONArray("thumbnails").get(0));
      bytes(new byte[0], copy.getJSONArray("thumbnails").get(1));
      same("after it", echo.next()[0]);
    });
    tests.run("binary in acknowledgements, both ways", clients -> {
      Client client = clients.connect("/");
      byte[] image = random(5_000);
      bytes(image, ((JSONObject) client.ask("mirror", (Object) image)[0]).get("mirrored"));

      client.socket.on("picture, please", arguments -> {
        try {
          JSONObject picture = new JSONObject()
              .put("name", "dog.png").put("image", image).put("thumbnails", new JSONArray());
          ((io.socket.client.Ack) arguments[0]).call(picture);
        } catch (org.json.JSONException e) {
          throw new IllegalStateException(e);
        }
      });
      bytes(image, ((JSONObject) client.ask("ask me for a picture")[0]).get("image"));
    });
    tests.run("large events of the server", clients -> {
      Client client = clients.connect("/");
      Client.Events text = client.listen("text");
      Client.Events data = client.listen("bytes");
      client.socket.emit("send me", 300_000);
      same("x".repeat(300_000), text.next()[0]);
      same(300_000, ((byte[]) data.next()[0]).length);
    });
  }

  private static byte[] random(int length) {
    byte[] data = new byte[length];
    new Random(length).nextBytes(data);
    return data;
  }
}
