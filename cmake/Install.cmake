# What `cmake --install` lays where. The components are what a package may hold alone: a node needs agent and worker.
# The worker's rpath stays the LibTorch that it was linked with; -DCMAKE_INSTALL_RPATH=... names another folder.
include(GNUInstallDirs)

install(TARGETS regroup regroup-data COMPONENT cli)
install(TARGETS regroup-coordinator COMPONENT coordinator)
install(TARGETS regroup-agent COMPONENT agent)
if(REGROUP_WITH_LIBTORCH)
  install(TARGETS regroup-worker COMPONENT worker)
endif()

install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT docs)
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT docs USE_SOURCE_PERMISSIONS
  PATTERN examples/demo/run EXCLUDE)   # it runs in a checkout, which it writes into
foreach(file LICENSE NOTICE CHANGELOG.md CONTRIBUTING.md SECURITY.md)
  if(EXISTS ${PROJECT_SOURCE_DIR}/${file})
    install(FILES ${file} DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT docs)
  endif()
endforeach()
install(CODE "set(installed_docs \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DOCDIR}\")" COMPONENT docs)
install(SCRIPT cmake/InstalledLinks.cmake COMPONENT docs)
