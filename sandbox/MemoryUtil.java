package org.apache.arrow.memory.util;

import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import sun.misc.Unsafe;

/** In the place of Arrow 12's, which Spark 3.5 brings and which finds no buffer in Java 21: see local_files.py. */
public class MemoryUtil {
  public static final Unsafe UNSAFE;
  public static final long BYTE_ARRAY_BASE_OFFSET;
  public static final boolean LITTLE_ENDIAN = ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN;
  private static final long BYTE_BUFFER_ADDRESS_OFFSET;
  private static final Constructor DIRECT_BUFFER;

  static {
    try {
      Field unsafe = Unsafe.class.getDeclaredField("theUnsafe");
      unsafe.setAccessible(true);
      UNSAFE = (Unsafe) unsafe.get(null);
      BYTE_ARRAY_BASE_OFFSET = UNSAFE.arrayBaseOffset(byte[].class);
      BYTE_BUFFER_ADDRESS_OFFSET = UNSAFE.objectFieldOffset(java.nio.Buffer.class.getDeclaredField("address"));
      Class buffer = Class.forName("java.nio.DirectByteBuffer");
      // The capacity's type, the one thing that Java 21 has changed
      Class capacity = Runtime.version().feature() < 21 ? int.class : long.class;
      DIRECT_BUFFER = buffer.getDeclaredConstructor(new Class[] {long.class, capacity});
      DIRECT_BUFFER.setAccessible(true);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private MemoryUtil() {}

  public static long getByteBufferAddress(ByteBuffer buffer) {
    return UNSAFE.getLong(buffer, BYTE_BUFFER_ADDRESS_OFFSET);
  }

  public static ByteBuffer directBuffer(long address, int capacity) {
    if (capacity < 0) throw new IllegalArgumentException("Capacity is negative, has to be positive or 0");
    Object size = Runtime.version().feature() < 21 ? (Object) Integer.valueOf(capacity) : Long.valueOf(capacity);
    try {
      return (ByteBuffer) DIRECT_BUFFER.newInstance(new Object[] {Long.valueOf(address), size});
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }
}
