package interop;

import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/** The line to the Go test: it can stop and start the server or cut its connections, and tells what handlers saw of a client that is gone. */
final class Control {
  private static final String URL = System.getenv("INTEROP_CONTROL_URL");
  private static final String CUT_URL = System.getenv("INTEROP_CUT_URL");
  private static final Duration PATIENCE = Duration.ofSeconds(30);
  private static final HttpClient HTTP = HttpClient.newHttpClient();

  private Control() {}

  static void stop() throws Exception {
    call(URL + "/stop");
  }

  static void start() throws Exception {
    call(URL + "/start");
  }

  /** Breaks all connections of clients, as a network does that fails. */
  static void cut() throws Exception {
    call(CUT_URL);
  }

  /** Returns what the server noted under key, waiting until it has. */
  static String noted(String key) throws Exception {
    return call(URL + "/noted/" + URLEncoder.encode(key, StandardCharsets.UTF_8).replace("+", "%20"));
  }

  private static String call(String url) throws Exception {
    HttpRequest request = HttpRequest.newBuilder(URI.create(url))
        .timeout(PATIENCE)
        .POST(HttpRequest.BodyPublishers.noBody())
        .build();
    HttpResponse<String> response = HTTP.send(request, HttpResponse.BodyHandlers.ofString());
    if (response.statusCode() != 200) {
      throw new IllegalStateException(url + ": " + response.statusCode() + " " + response.body());
    }
    return response.body();
  }
}
