package dev.graft.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.common.InputException;
import dev.graft.data.Example;
import dev.graft.engine.Engine;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Json;
import dev.graft.io.SafetensorsFile;
import dev.graft.io.SafetensorsWriter;
import dev.graft.model.Trainable;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.slf4j.LoggerFactory;

/**
 * Checkpoints of a run: {@code checkpoint-N/} under the output folder, with what the model itself saves, and beside it the exact
 * float32 values and moments and a few counters. With counter-based random numbers that is all it takes to go on with the same
 * bits.
 *
 * @param step steps done
 * @param elapsedSeconds of the run so far
 */
record TrainerState(int step, double elapsedSeconds) {
    private static final String FOLDER = "checkpoint-";
    private static final String JSON_FILE = "trainer_state.json";
    private static final String TENSOR_FILE = "trainer_state.safetensors";
    /** What every model's identity tells: {@code lora}, {@code adapter} or {@code full}. */
    private static final String METHOD = "method";

    private static final List<String> FREE_TO_CHANGE = List.of("evalEvery", "saveEvery", "gradientCheckpointing");

    /** The newest whole checkpoint under {@code out}. */
    static Optional<Path> newest(Path out) {
        if (!Files.isDirectory(out)) {
            return Optional.empty();
        }
        try (Stream<Path> files = Files.list(out)) {
            return files.filter(folder -> number(folder) >= 0 && Files.exists(folder.resolve(JSON_FILE)))
                    .max(Comparator.comparingInt(TrainerState::number));
        } catch (IOException e) {
            throw new InputException(out + ": cannot be read (" + e.getMessage() + ")", e);
        }
    }

    private static int number(Path folder) {
        String name = folder.getFileName().toString();
        return name.matches(FOLDER + "\\d{1,9}") ? Integer.parseInt(name.substring(FOLDER.length())) : -1;
    }

    /** Writes a checkpoint under another name first, so that a folder called checkpoint-N is always whole. */
    Path write(Path out, Trainable model, Optimizer optimizer, TrainConfig config, long dataFingerprint) {
        Path folder = out.resolve(FOLDER + step);
        Path partial = out.resolve("." + FOLDER + step + ".partial");
        try {
            AtomicFiles.deleteTree(partial);
            AtomicFiles.createDirectories(partial);
            model.save(partial);
            writeTensors(partial.resolve(TENSOR_FILE), model, optimizer);
            ObjectNode json = Json.mapper().createObjectNode();
            json.put("step", step);
            json.put("elapsed_s", elapsedSeconds);
            json.put("data_fingerprint", dataFingerprint);
            json.set("config", Json.mapper().valueToTree(config));
            json.set("model", Json.mapper().valueToTree(model.identity()));
            AtomicFiles.writeString(partial.resolve(JSON_FILE), json.toPrettyString() + "\n");
            AtomicFiles.deleteTree(folder);
            Files.move(partial, folder, StandardCopyOption.ATOMIC_MOVE);
            return folder;
        } catch (IOException | UncheckedIOException e) {
            deleteQuietly(partial);
            throw new InputException(
                    "cannot write " + folder + ": " + e.getMessage() + "; free space or choose another --out", e);
        } catch (RuntimeException e) {
            deleteQuietly(partial);
            throw e;
        }
    }

    /** Restores values and moments from a checkpoint of the same run. */
    static TrainerState read(
            Path folder, Trainable model, Optimizer optimizer, TrainConfig config, long dataFingerprint) {
        Path file = folder.resolve(JSON_FILE);
        ObjectNode json = Json.readObject(file);
        JsonNode identity = Json.mapper().valueToTree(model.identity());
        String method = text(identity, METHOD);
        checkMethod(file, text(json.path("model"), METHOD), method);
        checkSame(file, json.path("config"), Json.mapper().valueToTree(config));
        checkSame(file, json.path("model"), identity);
        if (json.path("data_fingerprint").asLong() != dataFingerprint) {
            throw new InputException(
                    file + ": this run was trained on other data or another --seq-len; resume with the same "
                            + "--data, or start anew from it with "
                            + (method.equals("full") ? "--model " : "--init-adapter ") + folder);
        }
        Engine engine = model.engine();
        try (SafetensorsFile tensors = SafetensorsFile.open(folder.resolve(TENSOR_FILE))) {
            tensors(model, optimizer).forEach((name, tensor) -> TensorBlocks.restore(engine, tensors, name, tensor));
        }
        model.parameters().refresh(engine);
        return new TrainerState(
                json.path("step").asInt(), json.path("elapsed_s").asDouble());
    }

    /** First of all: runs by different methods differ in most of what else is compared. */
    private static void checkMethod(Path file, String before, String wanted) {
        if (!before.equals(wanted)) {
            throw new InputException(file + ": the run to resume was a run with --method " + before
                    + ", this is one with " + wanted + "; resume with the same flags, or train anew with --force");
        }
    }

    /** Holds every entry that either side has to the other's. */
    private static void checkSame(Path file, JsonNode saved, JsonNode wanted) {
        SortedSet<String> names = new TreeSet<>();
        saved.fieldNames().forEachRemaining(names::add);
        wanted.fieldNames().forEachRemaining(names::add);
        names.removeAll(FREE_TO_CHANGE);
        for (String name : names) {
            String before = text(saved, name);
            String now = text(wanted, name);
            if (!before.equals(now)) {
                throw new InputException(file + ": the run to resume had " + name + " " + before + ", now it is " + now
                        + "; resume with the same flags");
            }
        }
    }

    private static String text(JsonNode object, String name) {
        JsonNode value = object.path(name);
        return value.isMissingNode() ? "none" : value.asText();
    }

    private static void writeTensors(Path file, Trainable model, Optimizer optimizer) {
        List<SafetensorsWriter.Entry> entries = new ArrayList<>();
        tensors(model, optimizer)
                .forEach((name, tensor) -> entries.add(TensorBlocks.entry(model.engine(), name, tensor)));
        SafetensorsWriter.write(file, Map.of("format", "pt"), entries);
    }

    /** What a step changes, by the names that it has in the file. */
    private static Map<String, Tensor> tensors(Trainable model, Optimizer optimizer) {
        return Map.of(
                "values", model.parameters().values(), "moment1", optimizer.moment1(), "moment2", optimizer.moment2());
    }

    private static void deleteQuietly(Path folder) {
        try {
            AtomicFiles.deleteTree(folder);
        } catch (InputException e) {
            // the failure that led here is the one to report
            LoggerFactory.getLogger(TrainerState.class).debug("left {} behind", folder, e);
        }
    }

    /** Tells one data set from another. */
    static long fingerprint(List<Example> data) {
        long hash = data.size();
        for (Example row : data) {
            hash = hash * 1_000_003 + Arrays.hashCode(row.inputIds());
            hash = hash * 1_000_003 + Arrays.hashCode(row.labels());
        }
        return hash;
    }
}
