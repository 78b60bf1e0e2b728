package dev.graft;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.GeneralCodingRules;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Packages point one way: tensor ← engine ← nn ← lora ← model ← train ← meta, with bottleneck beside lora, io and data beside them all. */
class ArchitectureTest {
    private static final JavaClasses CLASSES =
            new ClassFileImporter(List.of(new ImportOption.DoNotIncludeTests())).importPackages("dev.graft");

    @ParameterizedTest
    @CsvSource({
        "common, ''",
        "tensor, ''",
        "engine, common tensor",
        "io, common tensor",
        "data, common io",
        "nn, common tensor engine",
        "lora, common tensor engine nn io",
        "bottleneck, common tensor engine nn io",
        "model, common tensor engine nn lora bottleneck io",
        "train, common tensor engine nn lora bottleneck model io data",
        "meta, common tensor engine nn lora model io data train",
    })
    void packagesPointOneWay(String name, String allowed) {
        List<String> packages = new ArrayList<>(List.of("dev.graft." + name + ".."));
        for (String other : allowed.isEmpty() ? new String[0] : allowed.split(" ")) {
            packages.add("dev.graft." + other + "..");
        }
        classes()
                .that()
                .resideInAPackage("dev.graft." + name + "..")
                .should()
                .onlyDependOnClassesThat(
                        resideInAnyPackage(packages.toArray(String[]::new)).or(resideOutsideOfPackage("dev.graft..")))
                .because("dev.graft." + name + " may use only " + allowed)
                .check(CLASSES);
    }

    @Test
    void everyPackageIsCovered() {
        assertThat(CLASSES.stream()
                        .map(type -> type.getPackageName().split("\\.")[2])
                        .distinct())
                .containsExactlyInAnyOrder(
                        "common", "tensor", "engine", "io", "data", "nn", "lora", "bottleneck", "model", "train", "meta");
    }

    @Test
    void nothingIsCyclic() {
        slices().matching("dev.graft.(*)..").should().beFreeOfCycles().check(CLASSES);
    }

    @Test
    void coreKnowsNoEngineByName() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("dev.graft.cpu..", "dev.graft.cuda..", "dev.graft.cli..", "jcuda..")
                .check(CLASSES);
    }

    @Test
    void coreCallsNoNativeCode() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .haveFullyQualifiedName("java.lang.foreign.Linker")
                .orShould()
                .dependOnClassesThat()
                .haveFullyQualifiedName("java.lang.foreign.SymbolLookup")
                .check(CLASSES);
    }

    @Test
    void librariesLogAndNeverPrint() {
        GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(CLASSES);
        GeneralCodingRules.NO_CLASSES_SHOULD_USE_JAVA_UTIL_LOGGING.check(CLASSES);
    }
}
