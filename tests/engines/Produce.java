import java.util.Base64;
import java.util.Map;
import java.util.Scanner;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Sends lines of a key and a value, as base64 or "-" for none, to a topic: SERVER TOPIC. */
public class Produce {
  public static void main(String[] arguments) throws Exception {
    Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0]);
    var bytes = new ByteArraySerializer();
    try (var producer = new KafkaProducer<byte[], byte[]>(settings, bytes, bytes);
        var lines = new Scanner(System.in)) {
      while (lines.hasNextLine()) {
        var parts = lines.nextLine().split("\t", 2);
        producer.send(new ProducerRecord<>(arguments[1], bytesOf(parts[0]), bytesOf(parts[1]))).get();
      }
    }
  }

  static byte[] bytesOf(String text) {
    return text.equals("-") ? null : Base64.getDecoder().decode(text);
  }
}
