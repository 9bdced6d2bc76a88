import java.net.InetAddress;
import java.net.InetSocketAddress;
import org.apache.beam.fn.harness.ExternalWorkerService;
import org.apache.beam.sdk.expansion.service.ExpansionServer;
import org.apache.beam.sdk.expansion.service.ExpansionService;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.netty.NettyServerBuilder;

/**
 * Expands Beam's Java transforms, and runs them in a worker pool of its own. It listens on loopback
 * alone, where Beam's own mains listen on every address; prints its address.
 */
public class Connector {
  public static void main(String[] arguments) throws Exception {
    var pool =
        NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
            .addService(new ExternalWorkerService(PipelineOptionsFactory.create()))
            .build()
            .start();
    var service =
        new ExpansionService(
            new String[] {
              "--defaultEnvironmentType=EXTERNAL",
              "--defaultEnvironmentConfig=localhost:" + pool.getPort()
            });
    System.out.println("localhost:" + ExpansionServer.create(service, "localhost", 0).getPort());
    pool.awaitTermination();
  }
}
