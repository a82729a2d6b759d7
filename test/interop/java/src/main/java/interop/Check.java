package interop;

import java.util.Arrays;
import java.util.Objects;

/** What tests expect. */
final class Check {
  private Check() {}

  static void same(Object want, Object got) {
    isTrue(Objects.equals(want, got), "got " + brief(got) + ", want " + brief(want));
  }

  static void bytes(byte[] want, Object got) {
    isTrue(got instanceof byte[] && Arrays.equals(want, (byte[]) got),
        "got " + brief(got) + ", want " + want.length + " other bytes");
  }

  static void isTrue(boolean condition, String otherwise) {
    if (!condition) {
      throw new AssertionError(otherwise);
    }
  }

  private static String brief(Object value) {
    if (value instanceof byte[]) {
      return ((byte[]) value).length + " bytes";
    }
    String text = String.valueOf(value);
    return text.length() > 200 ? text.substring(0, 200) + "... of " + text.length() : text;
  }
}
