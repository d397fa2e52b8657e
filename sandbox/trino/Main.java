package sandbox.trino;

/** Trino's server, which ends with its standard input, that is, with whoever has started it. */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) throws Exception {
    Class server = Class.forName("io.trino.server.Server");
    server.getMethod("start", new Class[] {String.class})
        .invoke(server.getConstructor(new Class[0]).newInstance(new Object[0]), new Object[] {arguments[0]});
    while (System.in.read() >= 0) {}
    Runtime.getRuntime().halt(0);
  }
}
