import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.core.config.Configurator;
import org.opensearch.Version;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;
import org.opensearch.transport.Netty4Plugin;

/**
 * One real OpenSearch node on loopback, in this JVM, for the conformance suite.
 *
 * <p>Arguments: home folder, HTTP port, transport port. Repositories are allowed below HOME/repo. Prints
 * {@code READY} once the node has started; ends on SIGTERM.
 */
public final class OpenSearchPeer {
    /** The constructor that takes plugins from the class path is protected. */
    private static final class PeerNode extends Node {
        PeerNode(Environment environment, List<Class<? extends Plugin>> plugins) {
            super(environment, plugins, false);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]).toAbsolutePath();
        for (String folder : List.of("config", "data", "repo")) {
            Files.createDirectories(home.resolve(folder));
        }
        LogConfigurator.registerErrorListener();
        LogConfigurator.setNodeName("snapkeep-1");
        Configurator.setRootLevel(Level.WARN);

        Settings settings = Settings.builder()
            .put("path.home", home.toString())
            .put("path.data", home.resolve("data").toString())
            .put("path.repo", home.resolve("repo").toString())
            // The names that Snapkeep gives itself, so that no answer differs by them.
            .put("cluster.name", "snapkeep")
            .put("node.name", "snapkeep-1")
            // Without the role of a client of remote clusters, which Snapkeep does not have.
            .putList("node.roles", "cluster_manager", "data", "ingest")
            .put("network.host", "127.0.0.1")
            .put("http.port", arguments[1])
            .put("transport.port", arguments[2])
            .put("transport.type", "netty4")
            .put("http.type", "netty4")
            .put("discovery.type", "single-node")
            .put("cluster.routing.allocation.disk.threshold_enabled", "false")
            // Snapshot threads follow the processor count: with one, a throttled snapshot would
            // hold up every other snapshot call of the run.
            .put("node.processors", "8")
            .build();
        Node node = new PeerNode(
            new Environment(settings, home.resolve("config")), List.of(Netty4Plugin.class));
        node.start();
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
            ended.countDown();
        }));
        System.out.println("READY " + Version.CURRENT);
        ended.await();
    }
}
