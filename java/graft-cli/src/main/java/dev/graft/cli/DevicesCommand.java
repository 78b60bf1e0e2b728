package dev.graft.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Console;
import dev.graft.cli.console.Table;
import dev.graft.cli.options.OutputOptions;
import dev.graft.common.InputException;
import dev.graft.engine.Engine;
import dev.graft.engine.EngineFailure;
import dev.graft.engine.EngineProvider;
import dev.graft.engine.Engines;
import dev.graft.io.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code graft devices}: which engines work here, and why the others do not. */
@Command(
        name = "devices",
        customSynopsis = "graft devices [OPTION]...",
        description = "Lists the engines that work here, and for each that does not, the reason.",
        footer = {"  graft devices", "  graft devices --json"})
final class DevicesCommand extends BaseCommand {
    /**
     * What one engine said.
     *
     * @param text hardware and libraries, or why it cannot be used
     */
    private record Outcome(String name, boolean usable, boolean automatic, String text) {}

    @Mixin
    private final OutputOptions output = new OutputOptions();

    DevicesCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        List<Outcome> outcomes = new ArrayList<>();
        for (EngineProvider provider : Engines.providers()) {
            outcomes.add(outcome(provider));
        }
        Optional<Outcome> chosen = outcomes.stream()
                .filter(outcome -> outcome.usable() && outcome.automatic())
                .findFirst();
        if (output.isJson()) {
            console().result(json(outcomes, chosen));
            return EXIT_OK;
        }
        Table table = Table.ofTexts();
        for (Outcome outcome : outcomes) {
            table.row(outcome.name(), outcome.usable() ? "yes" : "no", outcome.text());
        }
        table.lines().forEach(console()::result);
        console().result("--engine auto takes " + chosen.map(Outcome::name).orElse("none"));
        return EXIT_OK;
    }

    /** Opens an engine that says it works: what it says of itself is only known then. */
    private static Outcome outcome(EngineProvider provider) {
        boolean automatic = provider.priority() >= 0;
        Optional<String> reason = provider.unavailableReason();
        if (reason.isPresent()) {
            return new Outcome(provider.name(), false, automatic, reason.get());
        }
        try (Engine engine = provider.open(0)) {
            return new Outcome(provider.name(), true, automatic, engine.description());
        } catch (EngineFailure | InputException failure) {
            return new Outcome(provider.name(), false, automatic, String.valueOf(failure.getMessage()));
        }
    }

    private static ObjectNode json(List<Outcome> outcomes, Optional<Outcome> chosen) {
        ObjectNode json = Json.mapper().createObjectNode();
        ArrayNode engines = json.putArray("engines");
        for (Outcome outcome : outcomes) {
            engines.addObject()
                    .put("name", outcome.name())
                    .put("usable", outcome.usable())
                    .put(outcome.usable() ? "description" : "reason", outcome.text());
        }
        json.put("auto", chosen.map(Outcome::name).orElse(null));
        return json;
    }
}
