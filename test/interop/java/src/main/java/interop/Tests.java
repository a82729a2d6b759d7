package interop;

import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import org.json.JSONException;
import org.json.JSONObject;

/** Runs tests and tells the Go test of each, in lines of JSON: one when it begins, one when it has ended. */
final class Tests {
  private final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);

  /** A test throws when it fails. Its clients end with it. */
  interface Test {
    void run(Clients clients) throws Exception;
  }

  void run(String name, Test test) {
    try {
      out.println(new JSONObject().put("test", name).put("begins", true));
      long begin = System.nanoTime();
      String error = outcome(test);
      JSONObject result = new JSONObject();
      result.put("test", name).put("pass", error.isEmpty()).put("error", error);
      out.println(result.put("milliseconds", (System.nanoTime() - begin) / 1e6));
    } catch (JSONException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String outcome(Test test) {
    try (Clients clients = new Clients()) {
      test.run(clients);
      return "";
    } catch (Exception | AssertionError e) {
      StringWriter trace = new StringWriter();
      e.printStackTrace(new PrintWriter(trace));
      return trace.toString();
    }
  }
}
